"""Holes filled from their borders alone, without anything learnt: the smoothest surface that meets them."""

import numpy as np
from scipy import sparse
from scipy.ndimage import binary_dilation, label
from scipy.sparse.linalg import spsolve


def smooth_fill(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`values` (height, width[, channels]) with the places where `mask` is True filled: each is its neighbours' mean.

        sum over the neighbours j of i, within the picture, of (u_i - u_j) = 0   where the mask is True,   u = values elsewhere

    >>> ramp = np.tile(np.arange(6.0), (6, 1))
    >>> hole = np.zeros((6, 6), bool)
    >>> hole[2:4, 2:4] = True
    >>> bool(np.allclose(smooth_fill(np.where(hole, 99.0, ramp), hole), ramp))
    True
    """
    values, mask = np.asarray(values), np.asarray(mask, bool)
    if mask.shape != values.shape[:2]:
        raise ValueError(f"The mask has shape {mask.shape}, but the picture is {values.shape[0]} x {values.shape[1]}.")
    if not mask.any():
        return values.copy()
    if mask.all():
        raise ValueError("Everything is masked, so there is nothing to fill from. Leave some pixels out of the mask.")
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(mask.sum())
    rows, columns, weights = [], [], []
    known = np.zeros((mask.sum(), *values.shape[2:]))
    count = np.zeros(mask.sum())
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        mine, theirs = shifted(number, axis, step)
        value = shifted(values, axis, step)[1]
        inside = mine >= 0
        count[mine[inside]] += 1
        unknown = inside & (theirs >= 0)
        rows.append(mine[unknown])
        columns.append(theirs[unknown])
        weights.append(-np.ones(unknown.sum()))
        edge = inside & (theirs < 0)
        known[mine[edge]] += value[edge]
    places = np.arange(len(count))
    matrix = sparse.csc_matrix(
        (np.concatenate([*weights, count]), (np.concatenate([*rows, places]), np.concatenate([*columns, places])))
    )
    found = spsolve(matrix, known.reshape(len(count), -1)).reshape(known.shape)
    out = values.astype(np.float64, copy=True)
    out[mask] = found
    return out.astype(values.dtype) if values.dtype.kind == "f" else out.round().astype(values.dtype)


def shifted(values: np.ndarray, axis: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Each place that has a neighbour on one side, and that neighbour."""
    here = [slice(None)] * values.ndim
    there = [slice(None)] * values.ndim
    here[axis], there[axis] = (slice(None, -1), slice(1, None)) if step > 0 else (slice(1, None), slice(None, -1))
    return values[tuple(here)], values[tuple(there)]


def trend_fill(values: np.ndarray, mask: np.ndarray, margin: int = 24) -> np.ndarray:
    """`smooth_fill` around a trend: a surface of second degree through the pixels up to `margin` from each hole comes first.

    For fields that bend slowly, such as the mean over many frames, where a film alone would be flat.
    """
    values = np.asarray(values, np.float64)
    trend, out = np.zeros(values.shape), values.copy()
    pieces, count = label(binary_dilation(mask, iterations=margin))
    row, column = (np.linspace(-1, 1, n) for n in mask.shape)
    terms = np.stack(np.broadcast_arrays(1.0, row[:, None], column, row[:, None] ** 2, column**2, row[:, None] * column), -1)
    for piece in range(1, count + 1):
        around = (pieces == piece) & ~mask
        if around.sum() < 4 * terms.shape[-1]:
            continue
        fit = np.linalg.lstsq(terms[around], values[around].reshape(around.sum(), -1), rcond=None)[0]
        surface = (terms[pieces == piece] @ fit).reshape(-1, *values.shape[2:])
        trend[pieces == piece] = surface
    out = smooth_fill(values - trend, mask) + trend
    out[~mask] = values[~mask]
    return out
