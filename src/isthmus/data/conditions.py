"""Conditions: what encoder and decoder are told about a sample besides, such as its class."""

import numpy as np
import torch

from .schema import Ready


class Condition:
    """How labels, or rows of numbers, become the numbers that a network is told.

    classes : the known labels, each told as a one among zeros; None where the condition is rows of `width` numbers as they are
    """

    def __init__(self, classes: list | None, width: int):
        self.classes, self.width = classes, width

    @classmethod
    def learn(cls, condition) -> "Condition":
        values = np.asarray(condition)
        if values.ndim == 1:
            refuse_continuous(values)
            classes = different(values)
            return cls(classes, len(classes))
        if values.ndim == 2 and values.dtype.kind in "fiub":
            return cls(None, values.shape[1])
        raise ValueError(
            f"condition has shape {values.shape} and dtype {values.dtype}: one label a sample is expected, or rows of numbers."
        )

    def read(self, condition, count: int) -> Ready:
        """Rows for `count` samples; one label (or one row) alone is told to all of them."""
        if condition is None:
            raise ValueError(
                f"This model was fitted with a condition ({self}). Pass condition=, one for each of the {count} samples "
                "(isthmus sample and interpolate: --condition LABEL)."
            )
        values = np.asarray(condition)
        if self.is_one(values):
            values = np.broadcast_to(values, (count, *values.shape))
        if len(values) != count:
            raise ValueError(f"There are {count} samples, but {len(values)} conditions: one for each is expected.")
        if self.classes is None:
            if values.shape != (count, self.width):
                raise ValueError(f"condition has shape {values.shape}, but ({count}, {self.width}) is expected.")
            if not np.isfinite(values).all():
                raise ValueError("condition contains NaN or infinity. Fill it first.")
            return Ready(torch.from_numpy(np.array(values, np.float32)))
        unknown = sorted({str(v) for v in different(values) if v not in self.classes})
        if unknown:
            raise ValueError(f"condition holds {', '.join(unknown[:5])}, which the model was not told in fit. Known: {self}.")
        place = {label: i for i, label in enumerate(self.classes)}
        index = torch.tensor([place[v] for v in values.tolist()])
        return Ready(torch.nn.functional.one_hot(index, self.width).float())

    def is_one(self, condition) -> bool:
        """Whether this is one label (or one row) for all samples."""
        return np.ndim(condition) == (0 if self.classes is not None else 1)

    def config(self) -> dict:
        return {"classes": self.classes, "width": self.width}

    def __str__(self) -> str:
        if self.classes is None:
            return f"{self.width} numbers"
        return ", ".join(map(str, self.classes[:10])) + (", ..." if self.width > 10 else "")


def different(labels: np.ndarray) -> list:
    """Each label once, in order."""
    try:
        return np.unique(labels).tolist()
    except TypeError as error:
        kinds = ", ".join(sorted({type(label).__name__ for label in labels.tolist()}))
        raise ValueError(
            f"condition holds {kinds}: labels are all numbers or all words, and none is missing. Fill it first."
        ) from error


def refuse_continuous(labels: np.ndarray) -> None:
    """Numbers between whole ones are amounts, and as labels each would be a class of its own."""
    if labels.dtype.kind != "f":
        return
    if not np.isfinite(labels).all():
        raise ValueError("condition contains NaN or infinity. Fill it first.")
    between = labels[labels != labels.round()]
    if len(between):
        raise ValueError(
            f"condition holds {between[0]:.4g}, but labels are whole numbers or words. Pass amounts as a column of numbers: "
            "condition=numbers.reshape(-1, 1). To name classes by fractions, pass them as text."
        )
