"""Sections of the page that only some models have: new samples, ways between samples, the code's health, filters.

Each gives the HTML of its section, or nothing where the model has none of it or the samples are no pictures.
"""

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from torch import nn

from . import plots
from .data import as_array
from .ink import png, section, svg
from .study import Study, is_picture, numbers, refusal_to_decode


def shown(study: Study, values) -> np.ndarray:
    return plots.pictures(values, study.limits, study.shape)


def new_samples_section(study: Study, most: int = 12) -> str:
    """New samples above the nearest of the data, so that one sees whether they are new."""
    if not is_picture(study) or study.own_target or refusal_to_decode(study) is not None:
        return ""
    try:
        new = as_array(study.model.sample(most, random_state=0))
    except ValueError:  # no prior to draw from
        return ""
    known, source = (study.X, study.values) if study.train_values is None else (study.train, study.train_values)
    distance, place = NearestNeighbors(n_neighbors=1).fit(source).kneighbors(numbers(new, study.model.schema_))
    pairs = zip(shown(study, new), shown(study, plots.dense(known)[place[:, 0]]), distance[:, 0], strict=True)
    cells = "".join(
        f"<figure>{png(fresh, f'new sample {i}')}{png(near, 'the nearest known one')}"
        f"<figcaption>{np.square(gap):#.3g}</figcaption></figure>"
        for i, (fresh, near, gap) in enumerate(pairs)
    )
    where = "these samples" if study.train is None else "the training data"
    lead = f"Decoded from codes that the prior drew; below each the nearest of {where}, and their squared distance."
    return section("New samples", lead, f'<div class="samples">{cells}</div>')


def ways_section(study: Study, ways: int = 6, steps: int = 7) -> str:
    """Interpolations between samples, of different classes where there are any."""
    if not is_picture(study) or study.own_target or refusal_to_decode(study) is not None or len(study.codes) < 2:
        return ""
    rows = []
    for a, b in pairs_of(study, ways):
        first, last = plots.dense(study.X[a : a + 1])[0], plots.dense(study.X[b : b + 1])[0]
        way = shown(study, as_array(study.model.interpolate(first, last, steps)))
        images = "".join(png(picture, f"step {i} of {steps - 1}") for i, picture in enumerate(way))
        rows.append(f'<div class="walk"><b></b>{images}</div>')
    half = -(-len(rows) // 2)
    columns = "".join(f"<div>{''.join(part)}</div>" for part in (rows[:half], rows[half:]) if part)
    kind = "along a great circle, as suits codes of a normal prior" if posterior_of(study) else "along a straight line"
    lead = f"Decodings on the way from one sample's code to another's, {kind}."
    return section("From one to another", lead, f'<div class="two">{columns}</div>')


def pairs_of(study: Study, count: int) -> list[tuple[int, int]]:
    """Pairs of places, drawn with a fixed seed; of different classes where there are classes."""
    random, labels = np.random.default_rng(0), study.labels
    drawn = random.integers(len(study.codes), size=(50 * count, 2)).tolist()
    apart = [(a, b) for a, b in drawn if a != b and (labels is None or labels[a] != labels[b])]
    return apart[:count]


def posterior_of(study: Study) -> bool:
    return getattr(study.model.network_.bottleneck, "posterior", False)


def health_section(study: Study) -> str:
    """How the code is used: what each component says, or how often each unit speaks."""
    if posterior_of(study):
        return posterior_section(study)
    active = (study.codes != 0).mean(0)
    if not (study.codes == 0).any() or active.min() == 1:
        return ""

    def draw(figure):
        ax = figure.subplots()
        ax.bar(range(len(active)), np.sort(active)[::-1], color=plots.OURS, width=1.0)
        ax.set_xlabel("units, the busiest first")
        ax.set_ylabel("share of samples")
        plots.bare(ax)

    silent = int((active == 0).sum())
    lead = f"A sample activates {(study.codes != 0).sum(1).mean():.3g} of {len(active):,} units; {silent:,} never spoke here."
    return section("How the code is used", lead, f"<figure>{svg(draw, 8, 2.6, 'How often each unit is active')}</figure>")


def posterior_section(study: Study) -> str:
    mean, std = study.model.posterior(study.X)
    kl = 0.5 * (np.square(mean) + np.square(std) - 2 * np.log(std) - 1).mean(0)
    order = np.argsort(-kl)

    def draw(figure):
        left, right = figure.subplots(1, 2)
        left.bar(range(len(kl)), kl[order], color=plots.OURS, width=0.8)
        left.set_ylabel("nats a sample")
        right.bar(range(len(kl)), std.mean(0)[order], color=plots.OTHER, width=0.8)
        right.set_ylabel("mean posterior width")
        right.set_ylim(0, max(1.0, std.mean(0).max()))
        for ax in (left, right):
            ax.set_xlabel("components, most telling first")
            plots.bare(ax)

    lead = f"{kl.sum():.3g} nats a sample; {int((kl > 0.01).sum())} of {len(kl)} components say more than 0.01. "
    lead += "A component that says nothing has a posterior as wide as the prior, 1."
    return section("How the code is used", lead, f"<figure>{svg(draw, 8, 2.6, 'Nats and posterior width by component')}</figure>")


def filters_section(study: Study, most: int = 32) -> str:
    """What the first layer looks for: its weights as pictures."""
    network, schema = study.model.network_, study.model.schema_
    layers = [*network.architecture.encoder.modules(), *network.bottleneck.modules()]
    first = next((layer for layer in layers if isinstance(layer, nn.Linear | nn.Conv2d)), None)
    shape = schema.shape if schema.kind == "images" else None if study.own_target else study.shape
    if first is None or shape is None:
        return ""
    weight = first.weight.detach().cpu()
    if isinstance(first, nn.Conv2d):
        filters = weight.mean(1)
    elif weight.shape[1] == int(np.prod(shape)):
        filters = weight.reshape(len(weight), *shape[:2], -1).mean(-1)
    else:
        return ""
    strongest = filters.flatten(1).norm(dim=1).argsort(descending=True)[:most]
    filters = filters[strongest] / filters[strongest].abs().amax((1, 2), keepdim=True).clamp_min(1e-12)
    pictures = ((filters + 1) * 127.5).round().to(torch.uint8).numpy()
    cells = "".join(f"<figure>{png(picture, f'filter {i}')}</figure>" for i, picture in enumerate(pictures))
    lead = f"The {len(pictures)} strongest of {len(weight):,} units of the first layer: light excites them where they are white."
    return section("Filters", lead, f'<div class="samples">{cells}</div>')
