"""What the report of a table is made of: how well cells are rebuilt, how well they are told by the others, beside PCA."""

from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np
from sklearn.decomposition import PCA

from .data.table import Table
from .information import rebuilt_cells
from .study import Study, accuracy, refuse_sizes, squared

MOST_ROWS = 2000  # that columns are hidden from in turn


class TableStudy(Study):
    """A `Study` of a table. Errors are those of cells: of numbers in standard deviations, 1 for a wrong category, 0 where the
    table holds none. PCA reads numbers and categories as zeros and ones, with a gap at the mean."""

    unit = "numbers in standard deviations, 1 for a wrong category"

    def __init__(self, model, X, *rest, **further):
        self.schema: Table = model.schema_
        super().__init__(model, X, *rest, **further)

    def numbers(self, X) -> np.ndarray:
        return self.schema.features(self.encoded(X))

    def encoded(self, X) -> np.ndarray:
        """(n, numbers that cells become), NaN where a cell is missing."""
        checked = self.schema.check(X)
        self.schema.check_shape(checked)
        return self.schema.encode(checked)

    @cached_property
    def cells(self) -> np.ndarray:
        return self.encoded(self.X)

    @cached_property
    def outputs(self):
        return self.model.reconstruct(self.X, self.condition)

    @cached_property
    def originals(self):
        return self.X

    @cached_property
    def errors(self):
        return self.schema.differences(self.encoded(self.outputs), self.cells)

    @cached_property
    def pca(self) -> PCA:
        fitted_on = self.values if self.train_values is None else self.train_values
        if len(fitted_on) < 2:
            raise ValueError("There is one sample, but PCA beside the model needs two or more. Give more samples, or train=.")
        return PCA(min(self.codes.shape[1], *fitted_on.shape), random_state=0).fit(fitted_on)

    @cached_property
    def pca_errors(self):
        rebuilt = self.pca.inverse_transform(self.pca.transform(self.values))
        return self.schema.differences(self.schema.decided(rebuilt), self.cells)

    @cached_property
    def rows(self) -> list[dict]:
        known = "PCA" if self.train_values is not None else "PCA, fitted on these very data"
        train = None if self.train_values is None else self.pca.transform(self.train_values)
        return [
            self.row("autoencoder", self.codes, self.train_codes, self.errors),
            self.row(known, self.pca.transform(self.values), train, self.pca_errors),
        ]

    def row(self, method: str, codes, train_codes, errors) -> dict:
        category = np.array(self.schema.columns) > 0
        there = ~np.isnan(self.cells)
        wrong = (errors != 0)[:, category].sum() / max(there[:, category].sum(), 1)
        return {
            "method": method, "numbers": codes.shape[1], "active": None, "error": float(squared(errors).mean()),
            "unit": self.unit, "explained": None, "right": float(1 - wrong) if category.any() else None,
            "accuracy": accuracy(self, codes, train_codes),
        }  # fmt: skip

    @cached_property
    def of_columns(self) -> list[dict]:
        """Every column: its share of missing cells, and its error as rebuilt, as told by the others, and of a constant guess."""
        some = np.linspace(0, len(self.cells) - 1, min(len(self.cells), MOST_ROWS)).astype(int)
        cells, rebuilt = self.cells[some], self.encoded(self.outputs)[some]
        guess = self.schema.decided(np.repeat(self.values.mean(0, keepdims=True), len(some), 0))
        found = []
        for column, place in zip(self.schema.cells, self.schema.places(), strict=True):
            hidden = cells.copy()
            hidden[:, place] = np.nan
            first = slice(place.start, place.start + 1)  # a date's other numbers say the same once more
            errors = {
                name: self.error_of(values, cells, first)
                for name, values in (("rebuilt", rebuilt), ("told", self.rebuilt(hidden, some)), ("guess", guess))
            }
            missing = float(np.isnan(self.cells[:, place.start]).mean())
            found.append({"column": column.name, "role": column.role, "missing": missing} | errors)
        return found

    def rebuilt(self, cells: np.ndarray, places: np.ndarray) -> np.ndarray:
        return rebuilt_cells(self.model, cells, None if self.condition is None else self.condition[places])

    def error_of(self, values: np.ndarray, cells: np.ndarray, place: slice) -> float | None:
        """Root mean squared error of a number, share of wrong cells of a category; None where nothing is there."""
        there = ~np.isnan(cells[:, place.start])
        if not there.any():
            return None
        mean = float(np.square(self.schema.differences(values, cells)[there, place.start], dtype=np.float64).mean())
        return mean if self.schema.columns[place.start] else mean**0.5

    def surprises(self, most: int = 12) -> list[dict]:
        """The cells that the others of their row expect least: place, column, what is there and what was expected."""
        nats = -self.model.score_cells(self.X, self.condition)
        order = np.argsort(nats, axis=None)[::-1][:most]
        rows, columns = np.unravel_index(order, nats.shape)
        table: Any = self.schema.check(self.X)
        found = []
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            place, name = self.schema.places()[column], self.schema.cells[column].name
            hidden = self.cells[row : row + 1].copy()
            hidden[:, place] = np.nan
            wanted = self.schema.cells[column].decode(self.rebuilt(hidden, np.array([row]))[:, place])[0]
            found.append(
                {
                    "row": row, "column": name, "holds": table[name][row], "expected": self.shown(column, wanted),
                    "nats": float(nats[row, column]),
                }
            )  # fmt: skip
        return found

    def shown(self, column: int, value):
        """A decoded cell as the table would hold it."""
        return np.datetime64(int(value), "s") if self.schema.cells[column].role == "date" else value

    def table(self, X) -> Any:
        """The cells by column and row."""
        frame = self.schema.check(X)
        return {
            name: frame[name].to_list() if isinstance(frame, nw.DataFrame) else frame[name].tolist() for name in frame.columns
        }


def study_of(model, *arguments, **further) -> Study:
    """The study that suits the model's kind of data."""
    refuse_sizes(model)
    own = TableStudy if model.schema_.kind == "table" and model.target_schema_ is model.schema_ else Study
    return own(model, *arguments, **further)
