"""Frames that do not flicker: what stands still is averaged over time."""

from collections.abc import Iterable, Iterator

import numpy as np
from scipy.ndimage import uniform_filter

from .measures import TOP

MOST = 8  # frames that a pixel at rest is the mean of
MOVED = 0.06  # difference to the mean so far, of white, in a square of 5 pixels, that is taken for motion
SIDE = 5


def steadied(frames: Iterable[np.ndarray], most: int = MOST, moved: float = MOVED) -> Iterator[np.ndarray]:
    """Frames, each pixel of which is the mean of up to `most` frames since it last changed, weighted by how little it did.

        m_t = m_(t-1) + (x_t - m_(t-1)) / n_t,   n_t = min(most, 1 + s n_(t-1)),   s = max(0, 1 - |x_t - m_(t-1)| / moved)

    with the difference taken as the mean over a square of 5 pixels, so that noise that is left is no motion. Where there is
    motion n is 1, and the frame is as it came.

    >>> still = [np.full((6, 6), 100 + noise, np.uint8) for noise in (0, 2, 0, 2)]
    >>> [int(frame[0, 0]) for frame in steadied(still)]
    [100, 101, 101, 101]
    """
    mean = count = None
    for frame in frames:
        top = TOP.get(str(frame.dtype), 1.0)
        x = frame.astype(np.float32) / top
        x = x if x.ndim == 3 else x[..., None]
        if mean is None or count is None or mean.shape != x.shape:
            mean, count = x, np.ones((*x.shape[:2], 1), np.float32)
        else:
            away = uniform_filter(np.abs((x - mean).mean(-1)), SIDE)[..., None]
            count = np.minimum(most, 1 + np.clip(1 - away / moved, 0, 1) * count)
            mean = mean + (x - mean) / count
        out = mean.reshape(frame.shape) * top
        yield out.round().clip(0, top).astype(frame.dtype) if top > 1 else out.astype(frame.dtype)
