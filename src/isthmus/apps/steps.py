"""How finely the numbers of a code are rounded: the larger the steps, the fewer bytes and the worse the samples."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

_SEARCH = 16  # halvings of the span in which the factor is looked for, from 2^-10 to 2^10 times the base
_SHARE = 1.1  # where nothing is asked for: of the squared error without rounding
_SPREADS = 0.5  # of a code's number, that it is moved by to see what it does
_MOVED = 64  # samples that are looked at


@dataclass
class Trial:
    """Training samples to find steps on.

    codes : blocks (n, *form);   rebuilt : blocks of codes -> samples;   wanted : the samples, None where they are no numbers
    peak : the largest value that a pixel can have, None where the error is measured in the data's own units
    """

    codes: list[np.ndarray]
    rebuilt: Callable[[list[np.ndarray]], Any]
    wanted: Any
    peak: float | None

    def error(self, steps: np.ndarray | None) -> float:
        """The mean squared error over all numbers, of codes rounded to multiples of the steps; None: not rounded."""
        blocks = self.codes if steps is None else [np.rint(block / steps) * steps for block in self.codes]
        return mean_squared(flat(self.rebuilt(blocks)), flat(self.wanted))

    def quality(self, error: float) -> float:
        """As `quality` is asked for: dB, or the root of the error."""
        return math.sqrt(error) if self.peak is None else 10 * math.log10(self.peak**2 / max(error, 1e-30))

    def limit(self, quality: float) -> float:
        """The squared error that a quality allows."""
        return quality**2 if self.peak is None else self.peak**2 / 10 ** (quality / 10)


def found_steps(trial: Trial, learnt: np.ndarray | None, quality: float | None, step: float | None) -> tuple[np.ndarray, Any]:
    """The step of every number of a code, or channel of a map, (width,), and the quality that is reached.

    learnt : (width,) those of the bottleneck, where it has any; others are set so that each does the same harm
    """
    if trial.wanted is None:
        if quality is not None:
            raise ValueError(
                f"quality={quality} is measured on numbers of one size, which these data are not. Set step=0.25, say."
            )
        base = spread(trial.codes) if learnt is None else learnt
        return base * (step or (0.25 if learnt is None else 1.0)), None
    base = harmless(trial) if learnt is None else learnt
    factor = step
    if factor is None:
        limit = trial.limit(quality) if quality is not None else None if learnt is not None else _SHARE * trial.error(None)
        factor = 1.0 if limit is None else largest(lambda factor: trial.error(factor * base) <= limit, trial, quality)
    return factor * base, trial.quality(trial.error(factor * base))


def largest(allowed: Callable[[float], bool], trial: Trial, quality: float | None) -> float:
    """The largest factor that is allowed; larger ones do more harm."""
    low, high = -10.0, 10.0
    if not allowed(2**low):
        reached = trial.quality(trial.error(None))
        unit = "dB" if trial.peak is not None else "as root mean squared error"
        raise ValueError(
            f"quality={quality:g} cannot be reached: without any rounding the model rebuilds training samples at {reached:.4g} "
            f"{unit}. Ask for less, or train a model with a larger code, for longer or at a lower rate."
        )
    for _ in range(_SEARCH):
        middle = (low + high) / 2
        low, high = (middle, high) if allowed(2**middle) else (low, middle)
    return 2**low


def harmless(trial: Trial) -> np.ndarray:
    """(width,): steps that each change a sample's numbers by 1 as a root mean square, so that all do the same harm.

    With many small errors that add up, the bytes are fewest where every number of the code has an equal share in the error
    (Goyal 2001, "Theoretical foundations of transform coding"): every number is moved by itself, in a map all those of a
    channel, this way or that, and the change is measured.
    """
    width = trial.codes[0].shape[-1]
    codes, count = trial.codes[:_MOVED], 0
    kept = []
    for block in codes:
        kept.append(block[: max(1, _MOVED - count)])
        count += len(kept[-1])
        if count >= _MOVED:
            break
    signs = [np.random.default_rng(place).choice([-1.0, 1.0], size=block.shape) for place, block in enumerate(kept)]
    before, by = flat(trial.rebuilt(kept)), _SPREADS * spread(trial.codes)
    steps = np.empty(width)
    for j in range(width):
        moved = [block + by[j] * sign * (np.arange(width) == j) for block, sign in zip(kept, signs, strict=True)]
        change = math.sqrt(mean_squared(flat(trial.rebuilt(moved)), before))
        steps[j] = by[j] / max(change, 1e-12)
    return np.minimum(steps, 1e6 * by)


def spread(codes: list[np.ndarray]) -> np.ndarray:
    """(width,): the standard deviation of every number, or channel; 1 where it is always the same."""
    every = np.concatenate([block.reshape(-1, block.shape[-1]) for block in codes]).astype(np.float64)
    found = every.std(0)
    return np.where(found > 0, found, 1.0)


def flat(samples: Any) -> np.ndarray:
    """All numbers of samples, one after another."""
    if isinstance(samples, list | tuple):
        return np.concatenate([np.asarray(one, np.float64).ravel() for one in samples])
    if sparse.issparse(samples):
        samples = samples.toarray()
    if hasattr(samples, "detach"):
        samples = samples.detach().cpu()
    return np.asarray(samples, np.float64).ravel()


def mean_squared(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.square(a - b).mean())
