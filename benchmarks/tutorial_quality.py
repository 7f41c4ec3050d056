"""The tutorial's network after its 50 epochs.

`examples/digits_dense.py`: 784-128-64-32-64-128-784 with relu everywhere and a sigmoid output, 50 epochs of MNIST. Binary
cross-entropy a pixel on the 10,000 test pictures after the last epoch. "as written" trains it with Adam at 0.001 in batches
of 256; "our recipe" trains the same layers for as many epochs with our default optimiser, rate and batch.
"""

from examples.digits_dense import cross_entropy, program
from isthmus import Autoencoder
from isthmus.parts import Dense, Plain

from .data import checksum, mnist
from .peers import PEERS, MissingPeer, arrays_for_others, run_peer
from .record import Row, Watch

SEEDS = 5
EPOCHS = 50
GOAL = {"at_most": 0.0838}
UNIT = "nats a pixel"


def rows(options):
    train, test = (mnist(part, options.quick)[0] for part in ("train", "test"))
    epochs = 2 if options.quick else EPOCHS
    data = {"MNIST": checksum(train, test)}
    for seed in options.seeds:
        yield measured("as written", program(epochs, random_state=seed), train, test, seed, data)
        yield measured("our recipe", same_layers(epochs, seed), train, test, seed, data)
    with arrays_for_others(train, test) as folder:
        for peer in PEERS:
            yield keras_row(peer, folder, epochs, data)


def same_layers(epochs: int, seed: int) -> Autoencoder:
    """The tutorial's layers; the optimiser, rate, schedule and batch are our defaults."""
    architecture, bottleneck = Dense((128, 64), activation="relu", bypass=False), Plain(activation="relu")
    return Autoencoder(
        32, architecture=architecture, bottleneck=bottleneck, loss="bernoulli", max_epochs=epochs, random_state=seed
    )


def measured(name: str, model: Autoencoder, train, test, seed: int, data: dict) -> Row:
    with Watch() as watch:
        model.fit(train, validation=test)
    settings = {"model": repr(model)}
    return Row(name, cross_entropy(model), UNIT, goal=GOAL, settings=settings, seed=seed, data=data, cost=watch.cost())


def keras_row(peer: str, folder, epochs: int, data: dict) -> Row:
    settings = {"epochs": epochs, "seed": 0}
    try:
        answer, cost = run_peer(peer, folder, settings)
    except MissingPeer as missing:
        return Row(peer, None, UNIT, skipped=str(missing))
    settings["versions"] = answer["versions"]
    return Row(peer, answer["validation"][-1], UNIT, settings=settings, seed=0, data=data, cost=cost)
