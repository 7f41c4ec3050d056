"""The tutorial's task with isthmus: python isthmus_dense.py FOLDER '{"layers": "defaults", "seed": 0, "fit": {...}}'.

layers: "defaults" (nothing is said but the 32 numbers of the code) or "relu" (exactly the tutorial's network).
fit: further parameters of the estimator, such as max_epochs.
"""

import json
import resource
import sys
import time

folder, settings = sys.argv[1], json.loads(sys.argv[2])

began = time.perf_counter()
from isthmus import Autoencoder  # noqa: E402
from isthmus.parts import Dense, Plain  # noqa: E402

LAYERS = {
    "defaults": {},
    "relu": {
        "architecture": Dense((128, 64), activation="relu", bypass=False),
        "bottleneck": Plain(activation="relu"),
        "loss": "bernoulli",
    },
}


class Moments:
    """Seconds since fit began, at the end of every epoch."""

    def __init__(self):
        self.seconds = []

    def on_epoch_end(self, network, record):
        self.seconds.append(time.perf_counter() - fit_began)


model = Autoencoder(32, random_state=settings["seed"], **LAYERS[settings["layers"]], **settings["fit"])
import_seconds = time.perf_counter() - began

import numpy as np  # noqa: E402

train, test = np.load(f"{folder}/train.npy"), np.load(f"{folder}/test.npy")
moments = Moments()
fit_began = time.perf_counter()
model.fit(train, validation=test, callbacks=[moments])
fit_seconds = time.perf_counter() - fit_began

print(
    json.dumps(
        {
            "import_seconds": import_seconds,
            "fit_seconds": fit_seconds,
            "moments": moments.seconds,
            "validation": [record["validation_loss"] / train.shape[1] for record in model.history_],
            "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        }
    )
)
