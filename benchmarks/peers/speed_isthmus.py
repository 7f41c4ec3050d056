"""Epochs of training with isthmus: python speed_isthmus.py FOLDER '{"network": "dense", "epochs": 4}'.

Prints one line of JSON: seconds of each epoch, and the loss of the last.
"""

import json
import resource
import sys

import numpy as np

from isthmus import Autoencoder, Training
from isthmus.parts import Conv, Dense, Gaussian, Plain, Recurrent

NETWORKS = {
    "dense": {
        "n_components": 32,
        "architecture": Dense((128, 64), activation="relu", bypass=False),
        "bottleneck": Plain(activation="relu"),
        "loss": "bernoulli",
    },
    "convolution": {
        "n_components": None,
        "architecture": Conv((16, 8, 8), down="pool", up="upsample", activation="relu"),
        "kind": "images",
        "loss": "bernoulli",
    },
    "variational": {
        "n_components": 16,
        "architecture": Dense((512, 256), activation="relu", bypass=False),
        "bottleneck": Gaussian(),
        "loss": "bernoulli",
    },
    "recurrent": {"n_components": 16, "architecture": Recurrent(64, cell="lstm"), "kind": "sequences", "loss": "squared"},
}


def model_of(network: str, batch_size: int, epochs: int) -> Autoencoder:
    """The network, trained as the others train it: Adam, a constant rate of 0.001, nothing added to the data."""
    training = Training("adam", schedule="constant", betas=(0.9, 0.999))
    return Autoencoder(
        **NETWORKS[network], corruption=None, training=training, learning_rate=1e-3, batch_size=batch_size, max_epochs=epochs,
        random_state=0,
    )  # fmt: skip


if __name__ == "__main__":
    folder, settings = sys.argv[1], json.loads(sys.argv[2])
    model = model_of(settings["network"], settings["batch_size"], settings["epochs"]).fit(np.load(f"{folder}/train.npy"))
    seconds = [record["seconds"] for record in model.history_]
    peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    print(json.dumps({"seconds": seconds, "loss": model.history_[-1]["loss"], "peak_memory_mib": peak}))
