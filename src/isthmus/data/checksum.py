"""Checksums of data as a network reads them, so that a run is only taken up again on what it was begun on."""

import hashlib
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from .lazy import Lazy
from .ragged import Pieces

_CHUNK = 2**24  # bytes that are taken at once


def checksum_of(rows) -> str:
    """SHA-256 of rows (`Rows`, `Ready`, a tensor): of their values, shapes and types, in their order.

    >>> checksum_of(torch.zeros(2, 3)) == checksum_of(torch.zeros(3, 2))
    False
    """
    digest = hashlib.sha256()
    add(digest, rows if isinstance(rows, Tensor) else rows.values, rows)
    schema = getattr(rows, "schema", None)
    for name, tensor in sorted(schema.tensors().items()) if schema is not None else ():
        digest.update(name.encode())
        add(digest, tensor, tensor)
    return digest.hexdigest()


def add(digest, values: Any, rows) -> None:
    digest.update(f"{type(values).__name__} {tuple(values.shape)} {values.dtype}".encode())
    if isinstance(values, Pieces):
        parts = [values.sizes, values.values]
    elif sparse.issparse(values):
        values = values.tocsr()
        parts = [values.indptr, values.indices, values.data]
    elif isinstance(values, Lazy):
        for data in rows.looks():
            add_bytes(digest, data.values)
            parts = [extra for extra in (data.weight, data.length) if extra is not None]
            for extra in parts:
                add_bytes(digest, extra)
        return
    else:
        parts = [values]
    for part in parts:
        add_bytes(digest, part)


def add_bytes(digest, values: Tensor | np.ndarray) -> None:
    """A few rows at a time, so that no copy of all is made."""
    if not len(values.shape):
        values = values.reshape(1)
    each = max(1, _CHUNK // max(1, values[:1].nbytes))
    for start in range(0, len(values), each):
        part = values[start : start + each]
        part = (
            part.detach().cpu().contiguous().view(torch.uint8).numpy() if isinstance(part, Tensor) else np.ascontiguousarray(part)
        )
        digest.update(part.data)
