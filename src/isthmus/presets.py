"""Presets: the variants of the literature, each a short composition of parts.

Every preset is a function that returns an unfitted `Autoencoder`; keyword arguments beyond its own go to the estimator.
"""

from .autoencoder import Autoencoder
from .parts import Conv, Dense, Noise
from .training import Training


def linear(n_components="auto", *, loss="squared", **kwargs):
    """One linear map to the code and one back; with squared error it spans the plane of PCA (Baldi & Hornik 1989).

    minimises  E[ |x - (V (W x + b) + c)|^2 ] / 2

    >>> linear(2, max_epochs=1).fit(X).transform(X).shape
    (100, 2)
    """
    if "training" not in kwargs:  # nothing that would pull the plane away from the data's
        kwargs = {"training": Training(momentum=0.95, weight_decay=0.0), "learning_rate": 0.01} | kwargs
    return Autoencoder(n_components, architecture=Dense(hidden=(), activation=None), loss=loss, **({"corruption": None} | kwargs))


def dense(n_components="auto", *, hidden="auto", activation="silu", **kwargs):
    """Fully connected layers that taper to the code, and the same back (Rumelhart, Hinton & Williams 1986).

    minimises  E[ loss(x, decode(encode(x))) ]

    >>> dense(8, hidden=(32, 16), max_epochs=1).fit(X).reconstruct(X).shape
    (100, 64)
    """
    return Autoencoder(n_components, architecture=Dense(hidden, activation=activation), **kwargs)


def deep(n_components="auto", *, layers=4, activation="silu", **kwargs):
    """Many dense layers on both sides (Hinton & Salakhutdinov 2006, there pre-trained layer by layer; here in one go).

    minimises  E[ loss(x, decode(encode(x))) ]

    >>> deep(8, layers=3, max_epochs=1).fit(X).transform(X).shape
    (100, 8)
    """
    return Autoencoder(n_components, architecture=Dense(layers=layers, activation=activation), **kwargs)


def convolutional(n_components="auto", *, channels="auto", down="stride", up="transpose", **kwargs):
    """Convolutions that halve the picture stage by stage, and three ways back (Masci et al. 2011).

    minimises  E[ loss(x, decode(encode(x))) ]

    >>> convolutional(8, channels=(4, 8), max_epochs=1).fit(images).reconstruct(images).shape
    (100, 8, 8)
    """
    return Autoencoder(n_components, architecture=Conv(channels, down=down, up=up), kind="images", **kwargs)


def denoising(n_components="auto", *, noise=0.3, **kwargs):
    """Rebuilds clean samples from noisy ones (Vincent et al. 2008).

    minimises  E[ loss(x, decode(encode(x + noise * eps))) ],   eps ~ N(0, I)

    >>> denoising(8, max_epochs=1).fit(X).reconstruct(X).shape
    (100, 64)
    """
    return Autoencoder(n_components, corruption=Noise(noise), **kwargs)


PRESETS = {"linear": linear, "dense": dense, "deep": deep, "convolutional": convolutional, "denoising": denoising}
