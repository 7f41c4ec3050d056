"""Forecasts of numbers: windows of the past, each scaled by itself, and what followed them."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import Autoencoder
from ..parts import Dense, Pinball
from ..parts.ranges import listed
from .series import IDENTITY, Framed, Series, read_series, season_of

MOST_WINDOWS = 80_000  # that are learnt from
STEPS = 600  # of training: longer runs learn windows by heart
LONGEST_SEASON = 400  # that is looked for
FAR = 10.0  # deviations: what followed a window counts as no further off than that


@dataclass
class SeriesForecasts:
    """How series of numbers are cut into what is read and what must come out, and put together again.

    With c the mean of a window's last season (without one: its last value) and s the root mean square of what lies off it,

        source = (x - c) / s,   target_k = (y_k - c) / s - source_(k - season)
        forecast_k = c + s (source_(k - season) + output_k)

    so that a forecast of a x + b is a times that of x, plus b, for every a > 0 and b, and the network begins at the seasonal
    naive forecast. The target holds every value once for each quantile.
    """

    horizon: Any
    window: Any
    season: Any
    quantiles: tuple[float, ...]
    composite: bool = False
    spreads: dict[str, np.ndarray] = field(default_factory=dict)  # (horizon, quantiles) of what lies off the plain methods

    kind, step = "series", "step"
    unit = "MASE"  # of the error by which methods are compared
    plain_methods = ("seasonal_naive", "last_value")

    @property
    def members(self) -> int:
        """How many models are trained."""
        return len(self.window)

    # ------------------------------------------------------------------------------------------------- learn

    def read(self, X) -> Series:
        return read_series(X)

    def settle(self, series: Series, held_out: bool) -> None:
        """What is "auto", from the series themselves; refuses those that are too short."""
        if self.season == "auto":
            self.season = season_of(series.values, LONGEST_SEASON)
        if self.horizon == "auto":
            self.horizon = min(self.season if self.season > 1 else 8, max(1, series.shortest // 8))
        kept = self.horizon * (1 + held_out)
        if self.window == "auto":
            middle = int(np.median([len(one) for one in series.values]))
            room = min(series.shortest - kept, max(self.season, (middle - kept) // 2))
            longest = min(2 * max(7 * self.season, 3 * self.horizon, 4), room)
            self.window = tuple(sorted({whole_seasons(share * longest, self.season) for share in (0.5, 0.75, 1.0)}))
        self.window = tuple(int(one) for one in listed(self.window))
        short = min(range(len(series)), key=lambda place: len(series.values[place]))
        if series.shortest < max(*self.window, 1, self.season) + kept or min(self.window) < 1:
            parts = f"a window of {max(*self.window, 1)} and a horizon of {self.horizon}"
            raise ValueError(
                f"Series {series.called(short)} has {len(series.values[short])} steps, but {parts}{' twice' * held_out} ask for "
                f"{max(*self.window, 1, self.season) + kept}. Give longer series, or a shorter window"
                + (", or held_out=False." if held_out else " or horizon.")
            )

    def parted(self, series: Series) -> tuple[Series, Series, list[np.ndarray]]:
        """Series without their last `horizon` steps, to learn from and to forecast from, and these steps."""
        known = series.until(self.horizon)
        return known, known, [one[-self.horizon :] for one in series.values]

    def pairs(self, series: Series, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Sources (n, window, 1) and targets (n, horizon, quantiles), of windows spread evenly over all series; where the past is
        rebuilt too, it stands before the horizon."""
        window = self.window[place]
        seen = [
            np.lib.stride_tricks.sliding_window_view(column, window + self.horizon) for one in series.values for column in one.T
        ]
        ends = np.cumsum([len(views) for views in seen])
        chosen = np.unique(np.linspace(0, ends[-1] - 1, min(MOST_WINDOWS, ends[-1])).round().astype(int))
        owner = np.searchsorted(ends, chosen, "right")
        both = np.stack([seen[one][at - ends[one]] for one, at in zip(owner, chosen, strict=True)])
        source, center, scale = self._scaled(both[:, :window])
        varies = scale[:, 0] > 0
        if varies.any():  # nothing is learnt from windows that do not vary: their own value goes on
            source, center, scale, both = source[varies], center[varies], scale[varies], both[varies]
        off = (both[:, window:] - center) / np.where(scale > 0, scale, np.inf) - self._base(source)
        if place == 0:
            self._note_spreads(off, source)
        wanted = np.concatenate([source, off], 1) if self.composite else off
        target = np.repeat(np.clip(wanted, -FAR, FAR)[..., None], len(self.quantiles), 2)
        return source[..., None].astype(np.float32), target.astype(np.float32)

    def model(self, place: int, count: int) -> Autoencoder:
        window, batch_size = self.window[place], 2 ** max(5, min(9, round(math.log2(max(count, 1) / 8))))
        return Autoencoder(
            max(1, min(128, window // 2)),
            architecture=Dense((min(512, max(32, 2 * window)),)),
            batch_size=batch_size,
            max_epochs=math.ceil(STEPS / math.ceil(count / batch_size)),
        )

    def required(self, model: Autoencoder, source: np.ndarray) -> dict:
        """Parameters that a model must have to read windows."""
        return {"kind": "sequences", "scale": "none"} | ({"loss": Pinball(self.quantiles)} if model.loss == "auto" else {})

    # ---------------------------------------------------------------------------------------------- forecast

    def forecast(self, models: list, series: Series, horizon: int) -> list[np.ndarray]:
        """Of each series (horizon, channels, quantiles): the mean of the models' forecasts, their medians taken on for the past
        of what comes after."""
        past = [column for one in series.values for column in one.T]
        steps = 0
        found: list[np.ndarray] = []
        while steps < horizon:
            found.append(self._next(models, past))
            steps += self.horizon
            past = [np.concatenate([one, new[:, self.middle]]) for one, new in zip(past, found[-1], strict=True)]
        return self._by_series(np.concatenate(found, 1)[:, :horizon], series)

    def _next(self, models: list, past: list[np.ndarray]) -> np.ndarray:
        """(n, horizon, quantiles)"""
        total: Any = 0.0
        for model, window in zip(models, self.window, strict=True):
            source, center, scale = self._scaled(np.stack([one[-window:] for one in past]))
            output = np.asarray(model.reconstruct(source[..., None].astype(np.float32)), np.float64)
            output = output[:, -self.horizon :] + self._base(source)[..., None]
            total = total + output * scale[..., None] + center[..., None]
        return np.sort(total / len(models), -1)

    def plain(self, method: str, series: Series, horizon: int) -> list[np.ndarray]:
        """The same by a method that learns nothing but how far it is off."""
        past = [column for one in series.values for column in one.T]
        season = self.season if method == "seasonal_naive" else 1
        spread = self.spreads[method]
        found = []
        for one in past:
            values = np.resize(one[-season:], horizon)[:, None]
            scale = self._scaled(one[None, -max(self.window[0], season) :])[2][0, 0]
            found.append(values + scale * np.take(spread, np.arange(horizon) % self.horizon, 0))
        return self._by_series(np.stack(found), series)

    def _by_series(self, found: np.ndarray, series: Series) -> list[np.ndarray]:
        """(all channels, horizon, quantiles) as one (horizon, channels, quantiles) for each series."""
        channels = series.values[0].shape[1]
        return [part.transpose(1, 0, 2) for part in np.split(found, len(found) // channels)]

    def given_back(self, series: Series, found: list[np.ndarray]) -> Any:
        """Medians in the form that the series came in, and of a frame the quantiles too."""
        if series.frame is not None:
            return self.as_frame(series, found)
        return series.given_back([one[..., self.middle] for one in found])

    def as_frame(self, series: Series, found: list[np.ndarray]) -> Any:
        """A row for each step: of which series, when, the median, and the other quantiles; of pandas where arrays came in."""
        framed = series.frame or Framed("pandas", IDENTITY, "step", [None] * len(series))
        return framed.frame(series, found, self.quantiles, self.middle)

    def check(self, series: Series) -> None:
        """Refuses series shorter than what the models read."""
        needed = max(*self.window, 1, self.season)
        if series.shortest < needed:
            place = min(range(len(series)), key=lambda one: len(series.values[one]))
            raise ValueError(
                f"Series {series.called(place)} has {len(series.values[place])} steps, but this model reads the last {needed}. "
                "Give more of its past, or fit with a shorter window."
            )

    # --------------------------------------------------------------------------------------------- judgement

    def figures(self, found: list[np.ndarray], truth: list[np.ndarray], past: Series) -> dict[str, float]:
        """The mean absolute scaled error (Hyndman & Koehler 2006), sMAPE in per cent, and how many values lie in the interval."""
        mase, smape, inside = [], [], []
        for each, wanted, before in zip(found, truth, past.values, strict=True):
            off = np.abs(each[..., self.middle] - wanted)
            usual = np.abs(before[self.season :] - before[: -self.season]).mean(0)
            mase += [*(off.mean(0) / np.where(usual > 1e-9 * np.abs(before).mean(0), usual, np.nan))]
            sizes = np.abs(each[..., self.middle]) + np.abs(wanted)
            smape.append(200 * np.mean(off / np.where(sizes > 0, sizes, 1.0)))
            inside.append(((wanted >= each[..., 0]) & (wanted <= each[..., -1])).mean())
        known = [one for one in mase if np.isfinite(one)]
        figures = {"error": float(np.mean(known)) if known else float(np.mean(smape)), "smape": float(np.mean(smape))}
        return figures | ({"inside": float(np.mean(inside))} if len(self.quantiles) > 1 else {})

    @property
    def middle(self) -> int:
        """The place of the median, or of what is nearest to it."""
        return int(np.abs(np.array(self.quantiles) - 0.5).argmin())

    # ------------------------------------------------------------------------------------------------- files

    def state(self) -> dict:
        return {
            "horizon": self.horizon,
            "window": [*self.window],
            "season": self.season,
            "quantiles": [*self.quantiles],
            "composite": self.composite,
        }

    def tensors(self) -> dict[str, np.ndarray]:
        return {f"spread.{name}": values for name, values in self.spreads.items()}

    @classmethod
    def restore(cls, state: dict, tensors: dict[str, np.ndarray]) -> "SeriesForecasts":
        spreads = {name.removeprefix("spread."): values for name, values in tensors.items()}
        return cls(
            state["horizon"], tuple(state["window"]), state["season"], tuple(state["quantiles"]), state["composite"], spreads
        )

    # ----------------------------------------------------------------------------------------------- helpers

    def _scaled(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Windows (n, steps) off their last season's mean, in units of their root mean square, with both, (n, 1) each."""
        center = windows[:, -min(self.season, windows.shape[1]) :].mean(1, keepdims=True)
        off = windows - center
        scale = np.sqrt(np.square(off).mean(1, keepdims=True))
        there = scale > 1e-9 * np.abs(center)  # of a window that does not vary no more than rounding is left
        return np.where(there, off / np.where(there, scale, 1.0), 0.0), center, np.where(there, scale, 0.0)

    def _base(self, source: np.ndarray) -> np.ndarray:
        """(n, horizon): the last season, again and again."""
        season = source[:, -min(self.season, source.shape[1]) :]
        return np.tile(season, -(-self.horizon // season.shape[1]))[:, : self.horizon]

    def _note_spreads(self, off: np.ndarray, source: np.ndarray) -> None:
        """How far the plain methods were off, step by step, in units of the window's scale."""
        last = off + self._base(source) - source[:, -1:]
        self.spreads = {
            name: np.quantile(values, self.quantiles, 0).T - np.median(values, 0)[:, None]
            for name, values in (("seasonal_naive", off), ("last_value", last))
        }


def whole_seasons(steps: float, season: int) -> int:
    """So many steps, in whole seasons where one fits."""
    return max(1, int(steps) // season * season if steps >= season else int(steps))
