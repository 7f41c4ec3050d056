"""Sections of the page that only some models have: new samples, ways between samples, the code's health, filters.

Each gives the HTML of its section, or nothing where the model has none of it or the samples are no pictures.
"""

from typing import Any

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from torch import nn

from . import plots
from .data import as_array
from .information import entries_used
from .ink import columns_of, png, section, svg, text
from .study import Study, has_silence, is_picture, numbers, refusal_to_decode


def shown(study: Study, values) -> np.ndarray:
    return plots.pictures(values, study.limits, study.shape)


def new_samples_section(study: Study, most: int = 12) -> str:
    """New samples above the nearest of the data, so that one sees whether they are new; of rows that are no pictures as lines."""
    told = None if study.condition is None else study.condition[np.linspace(0, len(study.condition) - 1, most).astype(int)]
    new = drawn(study, most, told)
    if new is None:
        return ""
    known, source = (study.X, study.values) if study.train_values is None else (study.train, study.train_values)
    distance, place = NearestNeighbors(n_neighbors=1).fit(source).kneighbors(numbers(new, study.model.schema_))
    where = "these samples" if study.train is None else "the training data"
    if not is_picture(study):
        lead = f"Decoded from codes that the prior drew, blue; orange the nearest of {where}, and their squared distance."
        pairs = zip(numbers(new, study.model.schema_), source[place[:, 0]], distance[:, 0], strict=True)
        cells = "".join(new_line(*pair, i) for i, pair in enumerate(pairs))
        return section("New samples", lead, f'<div class="samples wide">{cells}</div>')
    pairs = zip(shown(study, new), shown(study, plots.dense(known)[place[:, 0]]), distance[:, 0], strict=True)
    cells = "".join(
        f"<figure>{png(fresh, f'new sample {i}')}{png(near, 'the nearest known one')}"
        f"<figcaption>{np.square(gap):#.3g}</figcaption></figure>"
        for i, (fresh, near, gap) in enumerate(pairs)
    )
    lead = f"Decoded from codes that the prior drew; below each the nearest of {where}, and their squared distance."
    return section("New samples", lead, f'<div class="samples">{cells}</div>')


def new_line(fresh: np.ndarray, near: np.ndarray, gap: float, place: int) -> str:
    """A new row of numbers over the nearest known one."""

    def draw(figure):
        ax = figure.subplots()
        ax.plot(near, color=plots.OTHER, linewidth=1)
        ax.plot(fresh, color=plots.OURS, linewidth=1)
        ax.xaxis.get_major_locator().set_params(integer=True)
        plots.bare(ax)

    chart = svg(draw, 3.4, 2, f"New sample {place}, as a line over the nearest known one")
    return f"<figure>{chart}<figcaption>{np.square(gap):#.3g}</figcaption></figure>"


def drawn(study: Study, count: int, condition):
    """New samples; None where the model cannot draw any, or draws what is no sample of the data."""
    if study.own_target or refusal_to_decode(study) is not None:
        return None
    try:
        return as_array(study.model.sample(count, condition=condition, random_state=0))
    except ValueError:  # no prior to draw from
        return None


def classes_section(study: Study, most: int = 20, count: int = 7) -> str:
    """Samples that a model with a condition draws of each class, from the same codes."""
    if study.classes is None or drawn(study, 1, study.classes[0]) is None:
        return ""
    classes = study.classes[:most]
    new = [drawn(study, count, label) for label in classes]
    right = share_of_class(study, classes, new)
    lead = f"Each row was told its class; below one another are the same {count} codes, which the prior drew. The nearest known "
    lead += f"sample is of the class that was told for {right:.0%} of these {len(classes) * count:,}."
    if len(study.classes) > most:
        lead += f" These are {most} of {len(study.classes):,} classes."
    names = list(map(str, classes))
    if not is_picture(study):
        cells = [class_lines(study, *pair) for pair in zip(names, new, strict=True)]
        return section("New samples of each class", lead, f'<div class="samples wide">{"".join(cells)}</div>')
    room = f"grid-template-columns: {min(max(map(len, names)) + 2, 12)}ch repeat({count}, 1fr)"
    rows = [class_pictures(study, *pair, room) for pair in zip(names, new, strict=True)]
    return section("New samples of each class", lead, columns_of(rows))


def share_of_class(study: Study, classes: list, new: list) -> float:
    """How often the known sample nearest to a new one is of the class that was told."""
    values: Any = study.values if study.train_values is None else study.train_values
    labels: Any = study.condition if study.train_values is None else study.train_condition
    nearest = NearestNeighbors(n_neighbors=1).fit(values)
    places = [nearest.kneighbors(numbers(part, study.model.schema_), return_distance=False)[:, 0] for part in new]
    return float(np.mean([labels[place] == label for label, place in zip(classes, places, strict=True)]))


def class_pictures(study: Study, name: str, new, room: str) -> str:
    images = "".join(png(picture, f"new sample {i} of class {name}") for i, picture in enumerate(shown(study, new)))
    return f'<div class="walk" style="{room}"><b>{text(name)}</b>{images}</div>'


def class_lines(study: Study, name: str, new) -> str:
    def draw(figure):
        ax = figure.subplots()
        ax.plot(numbers(new, study.model.schema_).T, color=plots.OURS, linewidth=1, alpha=0.5)
        ax.xaxis.get_major_locator().set_params(integer=True)
        plots.bare(ax)

    chart = svg(draw, 3.4, 2, f"New samples of class {name}, as lines")
    return f"<figure>{chart}<figcaption><b>{text(name)}</b></figcaption></figure>"


def ways_section(study: Study, ways: int = 6, steps: int = 7) -> str:
    """Interpolations between samples, of different classes where there are any; of one class where the decoder is told it."""
    if not is_picture(study) or study.own_target or refusal_to_decode(study) is not None or len(study.codes) < 2:
        return ""
    rows = []
    for a, b in pairs_of(study, ways):
        first, last = plots.dense(study.X[a : a + 1])[0], plots.dense(study.X[b : b + 1])[0]
        condition = None if study.condition is None else study.condition[a]
        way = shown(study, as_array(study.model.interpolate(first, last, steps, condition)))
        images = "".join(png(picture, f"step {i} of {steps - 1}") for i, picture in enumerate(way))
        rows.append(f'<div class="walk"><b></b>{images}</div>')
    if not rows:  # no two samples are told the same
        return ""
    kind = "along a great circle, as suits codes of a normal prior" if posterior_of(study) else "along a straight line"
    within = "" if study.condition is None else " of its class"
    lead = f"Decodings on the way from one sample's code to another's{within}, {kind}."
    return section("From one to another", lead, columns_of(rows))


def pairs_of(study: Study, count: int) -> list[tuple[int, int]]:
    """Pairs of places, drawn with a fixed seed: what the model is told is the same, else the class is another."""
    random, labels, told = np.random.default_rng(0), study.labels, study.condition
    drawn = random.integers(len(study.codes), size=(50 * count, 2)).tolist()
    if told is not None:
        return [(a, b) for a, b in drawn if a != b and np.array_equal(told[a], told[b])][:count]
    return [(a, b) for a, b in drawn if a != b and (labels is None or labels[a] != labels[b])][:count]


def posterior_of(study: Study) -> bool:
    return getattr(study.model.network_.bottleneck, "posterior", False)


def health_section(study: Study) -> str:
    """How the code is used: what each component says, how often each unit speaks, or each entry is chosen."""
    bottleneck = study.model.network_.bottleneck
    if posterior_of(study):
        return posterior_section(study)
    if hasattr(bottleneck, "from_index"):
        return entries_section(study)
    if not has_silence(study) and not hasattr(bottleneck, "active"):
        return ""
    speaks = bottleneck.active(torch.from_numpy(study.codes)).numpy() if hasattr(bottleneck, "active") else study.codes != 0
    active = speaks.mean(0)

    def draw(figure):
        ax = figure.subplots()
        ax.bar(range(len(active)), np.sort(active)[::-1], color=plots.OURS, width=1.0)
        ax.set_xlabel("units, the busiest first")
        ax.set_ylabel("share of samples")
        plots.bare(ax)

    silent = int((active == 0).sum())
    lead = f"A sample activates {speaks.sum(1).mean():.3g} of {len(active):,} units; {silent:,} never spoke here."
    if not has_silence(study) and hasattr(bottleneck, "target"):
        lead += f" A unit counts as active above its target, {bottleneck.target:g}: a sigmoid is never quite silent."
    return section("How the code is used", lead, f"<figure>{svg(draw, 8, 2.6, 'How often each unit is active')}</figure>")


def entries_section(study: Study) -> str:
    """How evenly the entries of a codebook are used: exp(entropy of their shares), the perplexity, is all of them at best."""
    count = entries_used(study.model, study.X, study.condition)
    share = np.sort(count[count > 0])[::-1] / count.sum()
    perplexity = float(np.exp(-(share * np.log(share)).sum()))

    def draw(figure):
        ax = figure.subplots()
        ax.stairs(share, fill=True, color=plots.OURS)
        ax.axhline(1 / len(count), color=plots.OTHER, linewidth=1.5, label="if all were used evenly")
        ax.set(xlabel="entries, the busiest first", ylabel="share of the choices")
        ax.legend(frameon=False)
        plots.bare(ax)

    lead = f"{len(share):,} of {len(count):,} entries were chosen here, some more often than others: they say as much as "
    lead += f"{perplexity:.3g} that are chosen evenly (their perplexity), {perplexity / len(count):.0%} of all entries."
    return section("How the code is used", lead, f"<figure>{svg(draw, 8, 2.6, 'How often each entry is chosen')}</figure>")


def posterior_section(study: Study) -> str:
    mean, std = study.model.posterior(study.X, study.condition)
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
    weight, channels = first.weight.detach().cpu(), schema.shape[-1]  # behind these channels lie those of the condition
    if isinstance(first, nn.Conv2d):
        filters = weight[:, :channels].mean(1)
    elif weight.shape[1] == int(np.prod(network.inlet.shape)):
        own = weight.reshape(len(weight), *network.inlet.shape)[..., :channels]
        filters = own.reshape(len(weight), *shape[:2], -1).mean(-1)
    else:
        return ""
    strongest = filters.flatten(1).norm(dim=1).argsort(descending=True)[:most]
    filters = filters[strongest] / filters[strongest].abs().amax((1, 2), keepdim=True).clamp_min(1e-12)
    pictures = ((filters + 1) * 127.5).round().to(torch.uint8).numpy()
    cells = "".join(f"<figure>{png(picture, f'filter {i}')}</figure>" for i, picture in enumerate(pictures))
    lead = f"The {len(pictures)} strongest of {len(weight):,} units of the first layer: light excites them where they are white."
    return section("Filters", lead, f'<div class="samples">{cells}</div>')
