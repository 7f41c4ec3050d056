"""Time until the tutorial's quality.

Seconds of `fit`, from its call until the end of the first epoch after which the binary cross-entropy of MNIST's 10,000 test
pictures is at most 0.0844 nats a pixel, which is where Keras with JAX ends after the tutorial's 50 epochs. Every run is a
process of its own, ours and Keras' take turns within one run of this benchmark, and ratios are of medians. "defaults" is
`Autoencoder(32)` with the number of epochs given; "untouched" is `Autoencoder(32)` and nothing else; "program (a)'s network"
has the tutorial's layers. "as long as Keras/JAX" trains the defaults for so many epochs as fit into Keras' time by an epoch
timed before; its figure is our cross-entropy over Keras'.
"""

from itertools import pairwise
from statistics import median

from .data import checksum, mnist
from .peers import PEERS, MissingPeer, arrays_for_others, run_ours, run_peer
from .record import Row

TARGET = 0.0844
KERAS_EPOCHS = 50
DEFAULTS, SAME_NETWORK, UNTOUCHED = "defaults", "program (a)'s network", "untouched"
OURS = {
    DEFAULTS: {"layers": "defaults", "fit": {"max_epochs": 2}},
    SAME_NETWORK: {"layers": "relu", "fit": {"max_epochs": 3, "batch_size": 256, "learning_rate": 0.02}},
    UNTOUCHED: {"layers": "defaults", "fit": {}},
}
GOALS = {  # ours over theirs, at most
    (DEFAULTS, "Keras/JAX"): 1 / 15,
    (DEFAULTS, "Keras/TensorFlow"): 1 / 30,
    (SAME_NETWORK, "Keras/JAX"): 1 / 8,
    (SAME_NETWORK, "Keras/TensorFlow"): 1 / 20,
}
EQUAL_TIME_GOAL = {"at_most": 0.87}
MARGIN = 0.97  # of Keras' time is planned for, so that a slow epoch does not exceed it


def rows(options):
    train, test = (mnist(part, options.quick)[0] for part in ("train", "test"))
    data = {"MNIST": checksum(train, test)}
    runs: dict[str, list[dict]] = {name: [] for name in turns()}
    with arrays_for_others(train, test) as folder:
        for repeat in range(1 if options.quick else options.repeats):
            for name in turns():
                if name in OURS or repeat < options.peer_repeats:
                    yield from one_run(name, folder, repeat, runs[name], data, options.quick)
        yield from ratios(runs)
        if runs["Keras/JAX"]:
            for seed in range(1 if options.quick else options.repeats):
                yield equal_time(folder, seed, runs, data)


def turns() -> list[str]:
    """Ours and theirs by turns, so that a slow minute of the machine meets both."""
    (first, second, third), (jax, tensorflow) = OURS, PEERS
    return [first, jax, second, tensorflow, third]


def one_run(name: str, folder: str, repeat: int, runs: list[dict], data: dict, quick: bool):
    """Runs one contender once, keeps its answer in `runs`, and yields its row."""
    try:
        if name in OURS:
            settings = OURS[name] | {"seed": repeat} | ({"fit": {"max_epochs": 2}} if quick else {})
            answer, cost = run_ours(folder, settings)
        else:
            settings = {"epochs": 2 if quick else KERAS_EPOCHS, "seed": repeat}
            answer, cost = run_peer(name, folder, settings)
    except MissingPeer as missing:
        yield Row(f"{name}, 50 epochs", None, "s", skipped=str(missing))
        return
    runs.append(answer | {"cost": cost})
    also = {
        "epochs": len(answer["moments"]),
        "whole fit": answer["fit_seconds"],
        "import": answer["import_seconds"],
        "cross-entropy at the end": answer["validation"][-1],
    }
    settings = settings | {"target": TARGET, "versions": answer.get("versions")}
    row, value = (f"{name}, until {TARGET}", reached(answer)) if name in OURS else (f"{name}, 50 epochs", answer["fit_seconds"])
    yield Row(row, value, "s", also=also, settings=settings, seed=repeat, data=data, cost=cost)


def reached(answer: dict) -> float | None:
    """Seconds of fit until the target, or None."""
    return next((s for s, loss in zip(answer["moments"], answer["validation"], strict=True) if loss <= TARGET), None)


def ratios(runs: dict[str, list[dict]]):
    for (ours, peer), bound in GOALS.items():
        row = f"{ours} over {peer}"
        if not runs[peer]:
            yield Row(row, None, "ratio", goal={"at_most": bound}, skipped=f"{peer} was not run")
            continue
        fit, whole = ratio(runs[ours], runs[peer], 0), ratio(runs[ours], runs[peer], 1)
        cost = cost_of_all([answer["cost"] for answer in runs[ours] + runs[peer]])
        yield Row(row, fit, "ratio of fit", goal={"at_most": bound}, cost=cost)
        yield Row(f"{row}, with imports", whole, "ratio of import and fit", cost=cost)


def ratio(ours: list[dict], theirs: list[dict], imports: int) -> float | None:
    """Median time of ours until the target over median time of theirs to the end; imports: 1 counts them, 0 does not."""
    ends = [(reached(answer), imports * answer["import_seconds"]) for answer in ours]
    mine = median(float("inf") if end is None else end + extra for end, extra in ends)
    other = median(answer["fit_seconds"] + imports * answer["import_seconds"] for answer in theirs)
    return None if mine == float("inf") else mine / other


def cost_of_all(costs: list[dict]) -> dict:
    """Of several runs: the seconds of all, the worst of everything else."""
    worst = {name: max(cost[name] for cost in costs) for name in costs[0]}
    return worst | {"seconds": sum(cost["seconds"] for cost in costs)}


def equal_time(folder: str, seed: int, runs: dict[str, list[dict]], data: dict) -> Row:
    """Our defaults for as many epochs as should fit into the time that Keras took."""
    keras_seconds = median(answer["fit_seconds"] for answer in runs["Keras/JAX"])
    keras_loss = median(answer["validation"][-1] for answer in runs["Keras/JAX"])
    epochs = affordable(keras_seconds, runs[UNTOUCHED])
    settings = {"layers": "defaults", "seed": seed, "fit": {"max_epochs": epochs}}
    answer, cost = run_ours(folder, settings)
    return Row(
        "as long as Keras/JAX",
        answer["validation"][-1] / keras_loss,
        "cross-entropy, ratio",
        goal=EQUAL_TIME_GOAL,
        baseline={"Keras' cross-entropy": keras_loss, "Keras' seconds": keras_seconds},
        also={"our cross-entropy": answer["validation"][-1], "our seconds": answer["fit_seconds"], "epochs": epochs},
        settings=settings,
        seed=seed,
        data=data,
        cost=cost,
    )


def affordable(seconds: float, timed: list[dict]) -> int:
    """Epochs of our defaults that fit into `seconds`, by runs that were timed before."""
    steps = [later - earlier for run in timed for earlier, later in pairwise(run["moments"])]
    first = median(run["moments"][0] for run in timed)
    return 1 + max(0, int((MARGIN * seconds - first) / median(steps)))
