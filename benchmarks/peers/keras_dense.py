"""The tutorial's autoencoder in Keras, as the tutorial has it: python keras_dense.py FOLDER '{"backend": "jax", ...}'."""

import json
import os
import resource
import sys
import time

folder, settings = sys.argv[1], json.loads(sys.argv[2])
os.environ["KERAS_BACKEND"] = settings["backend"]
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

began = time.perf_counter()
import keras  # noqa: E402
from keras import layers  # noqa: E402

keras.utils.set_random_seed(settings["seed"])


def autoencoder(width: int) -> keras.Model:
    inputs = keras.Input((width,))
    code = layers.Dense(128, "relu")(inputs)
    code = layers.Dense(64, "relu")(code)
    code = layers.Dense(32, "relu")(code)
    output = layers.Dense(64, "relu")(code)
    output = layers.Dense(128, "relu")(output)
    output = layers.Dense(width, "sigmoid")(output)
    return keras.Model(inputs, output)


class Moments(keras.callbacks.Callback):
    """Seconds since fit began, at the end of every epoch."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - fit_began)


model = autoencoder(784)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy")
import_seconds = time.perf_counter() - began

import numpy as np  # noqa: E402

train, test = np.load(f"{folder}/train.npy"), np.load(f"{folder}/test.npy")
moments = Moments()
fit_began = time.perf_counter()
history = model.fit(
    train,
    train,
    epochs=settings["epochs"],
    batch_size=256,
    shuffle=True,
    validation_data=(test, test),
    verbose=0,
    callbacks=[moments],
)
fit_seconds = time.perf_counter() - fit_began

backend = __import__(settings["backend"])
print(
    json.dumps(
        {
            "import_seconds": import_seconds,
            "fit_seconds": fit_seconds,
            "moments": moments.seconds,
            "validation": history.history["val_loss"],
            "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "versions": {"keras": keras.__version__, settings["backend"]: backend.__version__},
        }
    )
)
