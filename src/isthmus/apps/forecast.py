"""`Forecaster`: what comes next, of series of numbers, of films, and of text."""

import warnings
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from .. import Autoencoder
from ..data import Clips, as_array, is_text, open_data
from ..parts.ranges import check_ranges, flag, listed, numbers, whole, wholes
from .base import Application, is_fitted
from .forecast_series import SeriesForecasts
from .forecast_text import TextAnswers, TextForecasts, read_texts
from .forecast_video import VideoForecasts

WAYS: dict[str, Any] = {way.kind: way for way in (SeriesForecasts, VideoForecasts, TextForecasts, TextAnswers)}
TABLES = (".csv", ".tsv", ".parquet", ".npz", ".csv.gz", ".tsv.gz")  # that are read as series


class Forecaster(Application):
    """Learns what follows a window of the past: the next values of series, the next frames of films, the next symbols of text.

        forecast = decode(encode(past)),   minimise  E[ loss(future, decode(encode(past))) ]

    `fit` cuts pairs of past and future out of the data, keeps the end of each series (or some of the films and sentences) from
    training, and compares there with methods that learn nothing. With method="auto" the best of them all is what `forecast`
    uses, one that learns nothing too where it wins; `comparison_` tells by how much.

    Parameters
    ----------
    model : None, dict or Autoencoder, default None
        See `Application`. The default follows the kind of data; of series it is a small dense network for each window.
    horizon : "auto" or int, default "auto"
        Steps, frames or symbols that are forecast at once; further ones by rolling: forecasts are the past of those after them.
        "auto" is a season of series, half of a film's window, and one symbol.
    window : "auto", int or sequence of int, default "auto"
        Steps, frames or symbols that are read. Of series several may be given: a model is trained for each, and their forecasts
        are averaged; "auto" is three windows of 7 to 14 seasons, or shorter ones for short series.
    season : "auto" or int, default "auto"; steps after which series repeat, 1 where they do not. "auto" reads it off the
        autocorrelation
    quantiles : sequence of float in (0, 1), default (0.1, 0.5, 0.9); of series, what is forecast beside the median
    method : "auto", "autoencoder", or a method that learns nothing, default "auto"
        "seasonal_naive" and "last_value" of series; "last_frame" and "zeros" of films; "commonest_next" (after the last symbol),
        "commonest" and "last_symbol" of text; "copy" and "commonest" of answers.
    composite : bool, default False
        The model also rebuilds what it reads, before what comes next (the composite model of Srivastava et al.): the target is
        the past and the future joined. Of series and films.
    held_out : bool, default True; False trains on all there is, and compares nothing
    random_state : int, RandomState or None, default None

    Attributes
    ----------
    model_ : the fitted Autoencoder, of the first window; further_ : those of the others
    horizon_, window_, season_ : what was chosen;   method_ : what forecasts are made by
    comparison_ : list of dict, one a method: its name, its error on what was held out, in `unit_`, and further figures

    >>> import numpy as np
    >>> days = 10 + np.sin(np.arange(240) * 2 * np.pi / 12) + np.arange(240) / 50
    >>> forecaster = Forecaster({"max_epochs": 20}, horizon=12, random_state=0).fit(days)
    >>> forecaster.season_, forecaster.forecast(days, 30).shape
    (12, (30,))

    Source: Srivastava et al. 2015, "Unsupervised learning of video representations using LSTMs"; Oreshkin et al. 2020, "N-BEATS",
    for windows of several lengths whose forecasts are averaged.
    """

    task = "forecast"
    way_: Any
    _ranges = {
        "horizon": whole("[1, inf)").also("auto"),
        "window": wholes("[1, inf)", "window=24").also("auto"),
        "season": whole("[1, inf)").also("auto"),
        "quantiles": numbers("(0, 1)"),
        "composite": flag(),
        "held_out": flag(),
    }

    def __init__(
        self,
        model=None,
        *,
        horizon="auto",
        window="auto",
        season="auto",
        quantiles=(0.1, 0.5, 0.9),
        method="auto",
        composite=False,
        held_out=True,
        random_state=None,
    ):
        self.model = model
        self.horizon = horizon
        self.window = window
        self.season = season
        self.quantiles = quantiles
        self.method = method
        self.composite = composite
        self.held_out = held_out
        self.random_state = random_state

    @classmethod
    def kind_of_path(cls, path):
        return "sequences" if str(path).lower().endswith(TABLES) else "auto"

    # ------------------------------------------------------------------------------------------------- fit

    def fit(self, X, y=None, *, target=None, callbacks=()):
        """Trains on the pairs of past and future in `X`, or on `X` and what answers it.

        Parameters
        ----------
        X : series, films, text, or a path
            Series are an array (steps,), (n, steps) or (n, steps, channels), a list of arrays of several lengths, or a frame:
            long (a row for each step of each series), wide (a row for each series), or of one series (a row for each step).
            Each channel is a series of its own; gaps are filled along the line between their neighbours. Films are an array
            (n, frames, height, width[, channels]), a list of arrays of several lengths, or what `open_video` gives. Text is a
            list of sentences, or of lists of symbols, each a text.
        y : ignored
        target : list of str, default None; a sentence for each of X that answers it, such as its translation (sequence to
            sequence). `forecast` then gives answers to other sentences.
        callbacks : for `Autoencoder.fit`
        """
        check_ranges(self, self._ranges)
        way = self._way(opened(X), None if target is None else opened(target))
        data = way.read(opened(X))
        way.settle(data, self.held_out)
        known, past, truth = way.parted(data) if self.held_out else (data, None, None)
        self.way_ = way
        pairs = (way.pairs(known, place) for place in range(way.members))
        fits = [self._member(place, source, target, callbacks) for place, (source, target) in enumerate(pairs)]
        self.model_, *self.further_ = fits
        self.comparison_ = [] if truth is None else self._compared(past, truth)
        self.method_ = self._best() if self.method == "auto" else self.method
        return self

    def _way(self, X, target) -> Any:
        """How such data are forecast, with what was asked for."""
        kind = way_of(X)
        if target is None:
            quantiles = tuple(sorted(map(float, listed(self.quantiles))))
            way = WAYS[kind](self.horizon, self.window, self.season, quantiles, self.composite)
        elif kind != "text" or not is_text(target):
            raise ValueError(
                "target is for text: a list of sentences that answer those of X. Of numbers, the target is cut out of X itself; "
                "for pairs of your own, use Autoencoder(kind='sequences').fit(X, target=target)."
            )
        else:
            way = TextAnswers(read_texts(target))
        if self.composite and way.kind not in ("series", "video"):
            raise ValueError(f"composite=True rebuilds series or films, but these are {way.kind}. Leave it out.")
        known = ("auto", "autoencoder", *way.plain_methods)
        if self.method not in known:
            raise ValueError(f"method={self.method!r} is not known for {way.kind}. Choose one of {', '.join(map(repr, known))}.")
        return way

    def _member(self, place: int, source, target, callbacks) -> Autoencoder:
        """The model of a window, trained."""
        if is_fitted(self.model):
            return self.model
        model = self._chosen(place, len(source))
        model.set_params(**self.way_.required(model, source))
        if model.random_state is None:
            model.set_params(random_state=self.random_state)
        if place and isinstance(model.random_state, Integral):
            model.set_params(random_state=int(model.random_state) + place)  # two windows of one length are to differ
        return model.fit(source, target=target, callbacks=callbacks)

    def _chosen(self, place: int, count: int) -> Autoencoder:
        """What is to be trained: of our choosing, changed as a dict says, or a copy of the one given."""
        if isinstance(self.model, Autoencoder):
            return clone(self.model)
        if self.model is not None and not isinstance(self.model, dict):
            raise TypeError(f"model={self.model!r}: an Autoencoder, a dict of its parameters, or None is expected.")
        changes = {name: value for name, value in (self.model or {}).items() if name != "kind"}  # which the data say
        return self.way_.model(place, count).set_params(**changes)

    def _compared(self, past, truth) -> list[dict]:
        """Each method on what was held out, the best first."""
        rows = []
        for method in ("autoencoder", *self.way_.plain_methods):
            found = self.continued(past, self.way_.horizon, method)
            rows.append({"method": method} | self.way_.figures(found, truth, past))
        return sorted(rows, key=lambda row: row["error"])

    def _best(self) -> str:
        best = self.comparison_[0]["method"] if self.comparison_ else "autoencoder"
        if best != "autoencoder":
            errors = {row["method"]: row["error"] for row in self.comparison_}
            warnings.warn(
                f"{best} is better than what was learnt on what was held out ({errors[best]:.3g} to {errors['autoencoder']:.3g} "
                f"{self.way_.unit}), so forecasts are made by it. Give more data, another window or longer training, or set "
                "method='autoencoder'.",
                UserWarning,
                stacklevel=3,
            )
        return best

    # --------------------------------------------------------------------------------------------- forecast

    def forecast(self, X, horizon: int | None = None):
        """What comes after `X`.

        Parameters
        ----------
        X : the past, in one of the forms of `fit`; of any series, not only those of `fit`
        horizon : int or None, default None; how many steps, frames or symbols. None: as many as are forecast at once

        Returns
        -------
        In the form of X: an array or list of the medians of series; of a frame a frame with a row for each step and columns for
        the quantiles; frames of films; text.
        """
        past = self.past(X)
        return self.way_.given_back(past, self.continued(past, horizon))

    def forecast_quantiles(self, X, horizon: int | None = None):
        """Quantiles of what comes after series, (..., quantiles) behind the axes of `forecast`, in the order of `quantiles`.

        Beyond the horizon that the model was trained for they are too narrow: rolling takes medians for the past.
        """
        check_is_fitted(self, "way_")
        if not isinstance(self.way_, SeriesForecasts):
            raise ValueError(
                f"Quantiles are those of series of numbers, but this was fitted to {self.way_.kind}. Use forecast(X)."
            )
        past = self.past(X)
        return past.given_back(self.continued(past, horizon))

    def past(self, X):
        """`X` as forecasts read it: series without gaps, windows of frames, or sentences; refuses what is too short."""
        check_is_fitted(self, "way_")
        past = self.way_.read(opened(X, **self.reading_))
        self.way_.check(past)
        return past

    def continued(self, past, horizon: int | None = None, method: str | None = None) -> list:
        """What comes after each of `past`, by `method_` or another: of series (horizon, channels, quantiles), frames, or text."""
        horizon = self.way_.horizon if horizon is None else horizon
        if not whole("[1, inf)").holds(horizon):
            raise ValueError(f"horizon={horizon!r}: a whole number of 1 or more is expected, the steps to forecast.")
        if (method or self.method_) == "autoencoder":
            return self.way_.forecast([self.model_, *self.further_], past, int(horizon))
        return self.way_.plain(method or self.method_, past, int(horizon))

    @property
    def horizon_(self) -> int:
        return self.way_.horizon

    @property
    def reading_(self) -> dict:
        """How `data.read_path` reads what is to be forecast: films in windows of the length and the size that the model reads."""
        return self.model_.schema_.reading

    @property
    def window_(self) -> tuple[int, ...]:
        return self.way_.window

    @property
    def season_(self) -> int:
        return self.way_.season

    @property
    def unit_(self) -> str:
        return self.way_.unit

    # ------------------------------------------------------------------------------------------------- files

    def _state(self):
        return {"kind": self.way_.kind, "method": self.method_, "comparison": self.comparison_, "way": self.way_.state()}

    def _tensors(self):
        return self.way_.tensors()

    def _restore(self, state, tensors):
        self.way_ = WAYS[state["kind"]].restore(state["way"], tensors)
        self.method_, self.comparison_ = state["method"], state["comparison"]


def opened(X, **reading) -> Any:
    """A path as what lies there, read as `data.read_path` is told."""
    return open_data(X, Forecaster.kind_of_path(X), **reading)[0] if isinstance(X, str | Path) else X


def way_of(X) -> str:
    """What kind of forecast data ask for: "series", "video" or "text"."""
    if isinstance(X, Clips):
        return "video"
    if is_text(X) or is_symbols(X):
        return "text"
    several = isinstance(X, list | tuple) and len(X)
    axes = 1 + np.ndim(as_array(X[0])) if several and hasattr(X[0], "shape") else len(getattr(X, "shape", ()))
    return "video" if axes in (4, 5) and not hasattr(X, "columns") else "series"


def is_symbols(X) -> bool:
    """Whether these are lists of texts, each a sequence of symbols."""
    return isinstance(X, list | tuple) and len(X) > 0 and all(isinstance(one, list | tuple) and one and is_text(one) for one in X)
