"""Vectors: a 2-D array, tensor, CSR matrix or frame of numbers; a sample is a row."""

from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.validation import check_array
from torch import Tensor

from .frames import Layout, write_frame
from .lazy import Lazy
from .mapped import Cast
from .schema import Schema, center_and_scale, chosen_scaling


class Vectors(Schema):
    """Rows of numbers. Data in [0, 1] stays as it is; other columns are brought to mean zero and variance one."""

    kind = "vectors"
    axes = 0
    layout: Layout | None = None  # of the frame that the numbers came in

    @classmethod
    def from_statistics(cls, X, scaling, found):
        low, high = found.low, found.high
        chosen = chosen_scaling(scaling, low.min(), high.max())
        center, scale = center_and_scale(chosen, found.mean, found.std, low, high)
        if chosen != "none":
            center = torch.where(high > low, center, low)  # a constant column's mean is rounded, its value is not
        return cls(X.shape[1:], dtype_name(X), center, scale, torch.where(high > low, torch.full_like(low, torch.nan), low))

    @classmethod
    def check(cls, X):
        if isinstance(X, Tensor):
            return cls._check_tensor(X)
        if isinstance(X, Lazy):
            return cls._check_lazy(X)
        if isinstance(X, list | tuple) and not len(X):
            raise ValueError("X is empty: 0 samples. At least one is needed.")
        if isinstance(X, np.ndarray) and not X.dtype.isnative:
            X = X.astype(X.dtype.newbyteorder("="))
        kept = [np.float64, np.float32, np.uint8]
        try:
            return check_array(  # values are looked at when they are read
                X, dtype=kept, accept_sparse="csr", ensure_all_finite=False, input_name="X", estimator="Autoencoder"
            )
        except ValueError as error:
            if "could not convert string" not in str(error):
                raise
            columns = [str(name) for name, dtype in named_types(X) if dtype.kind not in "fiub"]
            where = f" in {', '.join(columns[:5])}" if columns else ""
            raise ValueError(
                f"X holds text{where} ({error}), but vectors are numbers. Leave such columns out, encode them first, or pass a "
                "frame with kind='table'."
            ) from error

    @classmethod
    def _check_tensor(cls, X: Tensor) -> Tensor:
        X = X.detach()
        if X.ndim != 2 or 0 in X.shape:
            raise ValueError(f"Expected a 2-D tensor of (n_samples, n_features) with at least one of each, got {tuple(X.shape)}.")
        return X if X.dtype in (torch.float32, torch.float64, torch.uint8) else X.float()

    @classmethod
    def _check_lazy(cls, X: Lazy) -> Lazy:
        if X.ndim != 2 or 0 in X.shape:
            raise ValueError(f"Vectors come as (n_samples, n_features) with at least one of each; the file holds {X.shape}.")
        if X.dtype.kind not in "fiub":
            raise ValueError(f"The file holds cells of type {X.dtype}, but vectors are numbers. Convert them first.")
        return X if X.dtype in (np.float64, np.float32, np.uint8) else Cast(X, np.float64)

    def check_shape(self, X) -> None:
        if X.ndim != 2:
            raise ValueError(f"Vectors come as (n_samples, {self.shape[0]}); got shape {tuple(X.shape)}.")
        if X.shape[1] != self.shape[0]:
            raise ValueError(
                f"X has {X.shape[1]} features, but Autoencoder is expecting {self.shape[0]} features as input. "
                "Give rows of the columns that the model was trained on."
            )

    def give_back(self, values, like):
        if self.layout is None:
            return super().give_back(values, like)
        return self.layout.numbers(values.detach().cpu().numpy(), like)

    def write_file(self, file, values, ending):
        if ending == ".csv" and self.layout is not None:
            return write_frame(file, values, ending)
        return super().write_file(file, values, ending)

    def config(self):
        return super().config() | ({} if self.layout is None else {"layout": self.layout.config()})

    @classmethod
    def restore(cls, config, tensors):
        schema: Any = super().restore({name: value for name, value in config.items() if name != "layout"}, tensors)
        schema.layout = Layout.restore(config.get("layout"))
        return schema

    @property
    def constant_columns(self) -> list[int]:
        return torch.nonzero(~torch.isnan(self.constant)).flatten().tolist()


def named_types(X) -> list:
    """The name and the type of every column of a frame of pandas; none of anything else."""
    return list(zip(X.columns, X.dtypes, strict=True)) if hasattr(X, "columns") and hasattr(X, "dtypes") else []


def dtype_name(X) -> str:
    """The data's dtype as numpy names it."""
    return str(X.dtype).removeprefix("torch.") if not sparse.issparse(X) else str(X.data.dtype)
