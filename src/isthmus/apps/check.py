"""Whether new data look like what a model was trained on, before anyone trusts what it says of them."""

from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import binom

LEVEL = 0.02  # the share of ordinary samples that are odd: 1 % by their loss, and 1 % by their code
ORDINARY, UNSURE = 0.05, 0.5  # up to this share of odd samples data are not foreign; UNSURE: where no samples were held out
RARE = 0.05  # of a chance that explains how many are odd
MOVED = 0.1  # the shift from which on a feature has drifted, if chance does not explain it
CHANCE = 0.01  # for all features together


@dataclass
class Check:
    """What `check` found.

    verdict : "alike"; "drifted", where the samples are ordinary but features have moved; or "foreign", where more than 5 % of
        the samples are odd (more than half, where no samples were held out), and more than chance would have it
    samples : how many there were;   odd : the share of them that are odd
    oddness : (n,) of each sample, above 1 where it is odd
    drifted : list of dict, the features that moved, the furthest first: feature, shift and chance
    features : how many there are
    held_out : whether ordinary is what samples held out in `fit` were like; else it is what training samples were like, with
        a margin for how much better a model knows these
    """

    verdict: str
    samples: int
    odd: float
    oddness: np.ndarray
    drifted: list[dict]
    features: int
    held_out: bool

    def __bool__(self):
        """Whether the model can be trusted with these data as far as this tells."""
        return self.verdict == "alike"

    def to_dict(self) -> dict:
        """As JSON holds it, without the oddness of each sample."""
        return {name: value for name, value in asdict(self).items() if name != "oddness"}

    def __str__(self):
        return "\n".join(lines_of(self))


def check(model, X, *, target=None, condition=None) -> Check:
    """Compares new data with what a model remembers of its training data.

    A sample is odd if its loss, or the distance of its code from the middle of the training codes, is larger than that of 99 %
    of the samples that `fit` held out to validate on; without these, of the training samples, and then a loss must be larger by
    a margin (`Reference.margin`), so that less is found.

    A feature has drifted if its shift is larger than 0.1, and chance explains it with a probability below 0.01 / features (a
    chi-squared test of the two histograms). Its shift is the share of the samples that would have to lie in another tenth of the
    training values, or have another category, for the two histograms to agree: their total variation distance.

    Parameters
    ----------
    model : fitted Autoencoder, or an application, whose model is then checked
    X : data as the model was fitted to, labels of no kind are needed
    target, condition : as for `Autoencoder.score_samples`

    Returns
    -------
    Check, which is true where the data are alike

    >>> found = check(model, X)
    >>> found.verdict, found.features
    ('alike', 64)
    >>> moved = X.copy()
    >>> moved[:, 20] = 0
    >>> [one["feature"] for one in check(model, moved).drifted]
    ['x20']
    """
    model = getattr(model, "model_", model)
    found = model.compare(X, target=target, condition=condition)
    samples = len(found.oddness)
    strange = int((found.oddness > 1).sum())
    by_chance = binom.sf(strange - 1, samples, LEVEL)
    places = np.flatnonzero((found.shift > MOVED) & (found.chance < CHANCE / len(found.shift)))
    names = feature_names(model, found.features)
    drifted: dict[str, dict] = {}
    for place in places[np.argsort(-found.shift[places], kind="stable")].tolist():  # numbers of one column count once
        told = {"feature": names[place], "shift": float(found.shift[place]), "chance": float(found.chance[place])}
        drifted.setdefault(names[place], told)
    foreign = strange > (ORDINARY if found.held_out else UNSURE) * samples and by_chance < RARE
    verdict = "foreign" if foreign else "drifted" if drifted else "alike"
    share = strange / samples
    return Check(verdict, samples, share, found.oddness, list(drifted.values()), len(set(names)), found.held_out)


def feature_names(model, places: list[int]) -> list[str]:
    """What the features at these places of a sample are called; of pictures and steps, by where they lie."""
    schema = model.schema_
    if schema.kind == "table":
        every = [
            cell.name for cell, place in zip(schema.cells, schema.places(), strict=True) for _ in range(place.stop - place.start)
        ]
        return [every[place] for place in places]
    known = getattr(model, "feature_names_in_", None)
    if known is not None and schema.axes == 0 and len(known) > max(places):
        return [str(known[place]) for place in places]
    if schema.tokens:
        return ["tokens"]
    shape = schema.shape
    if schema.axes == 0:
        return [f"x{place}" for place in places]
    if len(places) == shape[-1]:
        return [f"channel {place}" for place in places]
    at = [tuple(int(i) for i in np.unravel_index(place, shape)) for place in places]
    return [str(place[:-1] if shape[-1] == 1 else place) for place in at]


def lines_of(found: Check) -> list[str]:
    words = {
        "alike": "alike: nothing says that these data differ from the training data.",
        "drifted": "drifted: single samples look ordinary, but features have moved.",
        "foreign": "foreign: these data do not look like the training data; do not trust what the model says of them.",
    }
    if found.verdict == "alike" and found.odd > ORDINARY:
        words["alike"] = "alike, with more odd samples than usual, but too few to say that these data differ from the others."
    lines = [
        words[found.verdict],
        f"{found.odd:.1%} of {found.samples:,} samples are odd; of ordinary ones {LEVEL:.0%} are.",
        f"{len(found.drifted):,} of {found.features:,} features have drifted.",
    ]
    lines += [f"  {one['feature']}: {one['shift']:.0%} of the samples lie elsewhere" for one in found.drifted[:10]]
    lines += [f"  and {len(found.drifted) - 10:,} more"] if len(found.drifted) > 10 else []
    if not found.held_out:
        lines.append(
            "Ordinary is what training samples were like, with a margin. Fit with validation=0.1: samples held out say it better."
        )
    return lines
