"""The same epochs in Keras: python speed_keras.py FOLDER '{"backend": "jax", "network": "dense", ...}'."""

import json
import os
import resource
import sys
import time

folder, settings = sys.argv[1], json.loads(sys.argv[2])
os.environ["KERAS_BACKEND"] = settings["backend"]
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers, ops  # noqa: E402

keras.utils.set_random_seed(0)


def dense() -> keras.Model:
    widths = (128, 64, 32, 64, 128)
    return keras.Sequential(
        [keras.Input((784,)), *(layers.Dense(width, "relu") for width in widths), layers.Dense(784, "sigmoid")]
    )


def convolution() -> keras.Model:
    def conv(channels, activation="relu"):
        return layers.Conv2D(channels, 3, activation=activation, padding="same")

    def stage(channels):
        return [conv(channels), layers.MaxPooling2D(2, padding="same")]

    def back(*last, odd=False):
        return [layers.UpSampling2D(2), *([layers.Cropping2D(((0, 1), (0, 1)))] if odd else []), *last]

    down = [*stage(16), *stage(8), *stage(8)]
    up = [*back(conv(8), odd=True), *back(conv(16)), *back(conv(1, "sigmoid"))]
    return keras.Sequential([keras.Input((28, 28, 1)), *down, *up])


class Variational(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential([layers.Dense(512, "relu"), layers.Dense(256, "relu")])
        self.average, self.log_var = layers.Dense(16), layers.Dense(16)
        self.decoder = keras.Sequential([layers.Dense(256, "relu"), layers.Dense(512, "relu"), layers.Dense(784, "sigmoid")])
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, x):
        hidden = self.encoder(x)
        mean, log_var = self.average(hidden), self.log_var(hidden)
        z = mean + ops.exp(0.5 * log_var) * keras.random.normal(ops.shape(mean), seed=self.seeds)
        self.add_loss(ops.mean(-0.5 * ops.sum(1 + log_var - mean**2 - ops.exp(log_var), -1)) / 784)
        return self.decoder(z)


def recurrent() -> keras.Model:
    steps = settings["steps"]
    reader = [keras.Input((steps, 1)), layers.LSTM(64), layers.Dense(16)]
    writer = [layers.RepeatVector(steps), layers.LSTM(64, return_sequences=True), layers.TimeDistributed(layers.Dense(1))]
    return keras.Sequential([*reader, *writer])


class Moments(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.began)


NETWORKS = {"dense": dense, "convolution": convolution, "variational": Variational, "recurrent": recurrent}
name = settings["network"]
model = NETWORKS[name]()
model.compile(keras.optimizers.Adam(1e-3), "mse" if name == "recurrent" else "binary_crossentropy")
X = np.load(f"{folder}/train.npy")
X = X[..., None] if name == "convolution" else X
moments = Moments()
history = model.fit(
    X, X, epochs=settings["epochs"], batch_size=settings["batch_size"], shuffle=True, verbose=0, callbacks=[moments]
)
peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
print(json.dumps({"seconds": moments.seconds, "loss": history.history["loss"][-1], "peak_memory_mib": peak}))
