"""Presets: the variants of the literature, each a short composition of parts.

Every preset is a function that returns an unfitted `Autoencoder`; keyword arguments beyond its own go to the estimator.
"""

import functools
from types import SimpleNamespace

from .autoencoder import Autoencoder
from .network import several
from .objective import ImportanceWeighted, RateDistortion
from .parts import (
    L1,
    MMD,
    Adversary,
    BatchTopK,
    CodeNorm,
    Composite,
    Contractive,
    Conv,
    Dense,
    FiniteScalar,
    Gaussian,
    JumpReLU,
    KLSparse,
    Mask,
    MaskPatches,
    Mixture,
    Noise,
    Recurrent,
    ResidualQuantized,
    Rounded,
    TopK,
    TotalCorrelation,
    Transformer,
    Vamp,
    VectorQuantized,
)  # fmt: skip
from .parts.ranges import check_ranges, number
from .training import Training


def _about(*roles: str):
    """Marks a preset by the parts that make it what its name says: one of another class is refused.

    A part of the same class may be passed, for it has parameters that the preset does not ask for; an architecture may not, for
    one class makes both what is and what is not the preset.
    """

    def mark(preset):
        @functools.wraps(preset)
        def composed(*args, **kwargs):
            given = {role: kwargs.pop(role) for role in roles if role in kwargs}
            model = preset(*args, **kwargs)
            for role, part in given.items():
                _refuse_another(preset, role, part, getattr(model, role))
            return model.set_params(**given)

        return composed

    return mark


def _refuse_another(preset, role: str, part, own) -> None:
    """Refuses a part that would make another model of the preset, or silently replace what it was told besides."""
    said = f"presets.{preset.__name__}({role}={part!r})"
    if role == "architecture" or not any(type(one) is type(own) for one in several(part)):
        raise ValueError(f"{said}: this preset is about its {role}, {own!r}. For another, use Autoencoder({role}=...).")
    if repr(own) != repr(getattr(preset(), role)):
        raise ValueError(f"{said}: {own!r}, which was asked for besides, would be lost. Leave one of them out.")


@_about("architecture")
def linear(n_components="auto", *, loss="squared", **kwargs):
    """One linear map to the code and one back; with squared error it spans the plane of PCA (Baldi & Hornik 1989).

    minimises  E[ |x - (V (W x + b) + c)|^2 ] / 2

    >>> linear(2, max_epochs=1).fit(X).transform(X).shape
    (100, 2)
    """
    if "training" not in kwargs:  # nothing that would pull the plane away from the data's
        kwargs = {"training": Training(momentum=0.95, weight_decay=0.0), "learning_rate": 0.01} | kwargs
    return Autoencoder(n_components, architecture=Dense(hidden=(), activation=None), loss=loss, **({"corruption": None} | kwargs))


@_about("architecture")
def dense(n_components="auto", *, hidden="auto", activation="silu", **kwargs):
    """Fully connected layers that taper to the code, and the same back (Rumelhart, Hinton & Williams 1986).

    minimises  E[ loss(x, decode(encode(x))) ]

    >>> dense(8, hidden=(32, 16), max_epochs=1).fit(X).reconstruct(X).shape
    (100, 64)
    """
    return Autoencoder(n_components, architecture=Dense(hidden, activation=activation), **kwargs)


@_about("architecture")
def deep(n_components="auto", *, layers=4, activation="silu", **kwargs):
    """Many dense layers on both sides (Hinton & Salakhutdinov 2006, there pre-trained layer by layer; here in one go).

    minimises  E[ loss(x, decode(encode(x))) ]

    >>> deep(8, layers=3, max_epochs=1).fit(X).transform(X).shape
    (100, 8)
    """
    return Autoencoder(n_components, architecture=Dense(layers=layers, activation=activation), **kwargs)


@_about("architecture")
def convolutional(n_components="auto", *, channels="auto", down="stride", up="transpose", **kwargs):
    """Convolutions that halve the picture stage by stage, and three ways back (Masci et al. 2011).

    minimises  E[ loss(x, decode(encode(x))) ]

    >>> convolutional(8, channels=(4, 8), max_epochs=1).fit(images).reconstruct(images).shape
    (100, 8, 8)
    """
    return Autoencoder(n_components, architecture=Conv(channels, down=down, up=up), **({"kind": "images"} | kwargs))


@_about("architecture")
def recurrent(n_components="auto", *, units=64, cell="lstm", reverse=True, teacher_forcing=False, **kwargs):
    """Reads a sequence step by step into its last state and writes it from the code, last step first (Srivastava et al. 2015).

    minimises  E[ loss(x, decode(W h_T)) ],   h_t = cell(x_t, h_(t-1))

    With `teacher_forcing` the writer also reads the step before, the true one while it learns. Sequences may differ in length.

    >>> recurrent(4, units=16, max_epochs=1).fit(X.reshape(100, 8, 8)).transform(X.reshape(100, 8, 8)).shape
    (100, 4)
    """
    architecture = Recurrent(units, cell=cell, reverse=reverse, teacher_forcing=teacher_forcing)
    return Autoencoder(n_components, architecture=architecture, **({"kind": "sequences", "corruption": None} | kwargs))


@_about("architecture")
def composite(n_components="auto", *, units=64, cell="lstm", **kwargs):
    """Rebuilds what it reads and foretells what comes after it, by a writer each (Srivastava et al. 2015, the composite model).

    minimises  E[ loss(past, write(z)) + loss(future, foretell(z)) ],   z = W h_T;   fit(past, target=past and future joined)

    >>> weeks = X.reshape(100, 8, 8)
    >>> composite(4, units=16, max_epochs=1).fit(weeks[:, :5], target=weeks).reconstruct(weeks[:, :5]).shape
    (100, 8, 8)
    """
    return Autoencoder(
        n_components, architecture=Composite(units, cell=cell), **({"kind": "sequences", "corruption": None} | kwargs)
    )


@_about("corruption")
def denoising(n_components="auto", *, noise=0.3, **kwargs):
    """Rebuilds clean samples from noisy ones (Vincent et al. 2008).

    minimises  E[ loss(x, decode(encode(x + noise * eps))) ],   eps ~ N(0, I)

    >>> denoising(8, max_epochs=1).fit(X).reconstruct(X).shape
    (100, 64)
    """
    return Autoencoder(n_components, corruption=Noise(noise), **kwargs)


@_about("corruption")
def masked(n_components="auto", *, share=0.5, **kwargs):
    """Rebuilds whole samples from those with values missing (Vincent et al. 2010, "masking noise"; He et al. 2022).

    minimises  E[ loss(x, decode(encode(x * b))) ],   b ~ Bernoulli(1 - share)

    >>> masked(8, max_epochs=1).fit(X).reconstruct(X).shape
    (100, 64)
    """
    return Autoencoder(n_components, corruption=Mask(share), **kwargs)


@_about("architecture", "corruption")
def masked_patches(n_components="auto", *, share=0.75, patch="auto", width=64, **kwargs):
    """A transformer that reads the patches left over and rebuilds all (after He et al. 2022, there to train the encoder alone).

    minimises  E[ loss(x, decode(encode(patches of x where b = 1))) ],   b = 1 on a share of 1 - `share` of the patches

    None as n_components keeps the map of the patches, as the paper does. Known gaps are filled by reconstruct(X, missing=...).

    >>> masked_patches(8, patch=2, width=16, max_epochs=1).fit(images).reconstruct(images).shape
    (100, 8, 8)
    """
    parts = {"architecture": Transformer(width, patch=patch), "corruption": MaskPatches(share, patch)}
    return Autoencoder(n_components, **parts, **({"kind": "images"} | kwargs))


@_about("architecture")
def dropout(n_components="auto", *, share=0.2, dropped="units", hidden="auto", **kwargs):
    """Drops units (or connections) of every hidden layer while training, so that none leans on another (Srivastava et al. 2014).

    minimises  E[ loss(x, decode(encode(x))) ]  over networks that each lack a share of their units

    >>> dropout(8, max_epochs=1).fit(X).reconstruct(X).shape
    (100, 64)
    """
    return Autoencoder(n_components, architecture=Dense(hidden, bypass=False, dropout=share, dropped=dropped), **kwargs)


# ---------------------------------------------------------------------------------------------------- sparse


@_about("bottleneck")
def sparse(n_components="auto", *, weight=0.03, **kwargs):
    """Charges every unit of the code for what it says (Olshausen & Field 1996).

    minimises  E[ loss(x, decode(z)) + weight * sum_j |z_j| ],   z = relu(encode(x))

    "auto" makes n_components twice the numbers of a sample, up to 4096.

    >>> sparse(128, max_epochs=1).fit(X).transform(X).shape
    (100, 128)
    """
    return Autoencoder(n_components, **_dictionary(L1(weight), kwargs))


@_about("bottleneck")
def kl_sparse(n_components="auto", *, target=0.05, weight=3.0, **kwargs):
    """Sigmoid units that are each active a small share of the time (Ng 2011).

    minimises  E[ loss(x, decode(z)) ] + weight * sum_j KL(target || mean z_j),   z = sigmoid(encode(x))

    "auto" makes n_components twice the numbers of a sample, up to 4096.

    >>> kl_sparse(128, max_epochs=1).fit(X).transform(X).shape
    (100, 128)
    """
    return Autoencoder(n_components, **_dictionary(KLSparse(target, weight), kwargs))


@_about("bottleneck")
def topk(n_components="auto", *, k="auto", **kwargs):
    """Keeps the k largest units of every sample (Makhzani & Frey 2014; Gao et al. 2024).

    minimises  E[ loss(x, decode(z)) ] + what dead units leave of the residual,   z = top_k(relu(encode(x)))

    "auto" makes n_components twice the numbers of a sample, up to 4096, and k a quarter of them, up to 32.

    >>> topk(128, k=8, max_epochs=1).fit(X).transform(X).astype(bool).sum(1).max() <= 8
    np.True_
    """
    return Autoencoder(n_components, **_dictionary(TopK(k), kwargs))


@_about("bottleneck")
def batch_topk(n_components="auto", *, k="auto", **kwargs):
    """Keeps the k * batch largest units of a whole batch, and a threshold for later (Bussmann et al. 2024).

    minimises  E[ loss(x, decode(z)) ] + what dead units leave of the residual,   z = top_(k * batch)(relu(encode(x)))

    "auto" makes n_components twice the numbers of a sample, up to 4096, and k a quarter of them, up to 32.

    >>> batch_topk(128, k=8, max_epochs=1).fit(X).transform(X).shape
    (100, 128)
    """
    return Autoencoder(n_components, **_dictionary(BatchTopK(k), kwargs))


@_about("bottleneck")
def jumprelu(n_components="auto", *, weight=0.1, l0=None, **kwargs):
    """Units with thresholds that are learnt (Rajamanoharan et al. 2024).

    minimises  E[ loss(x, decode(z)) + weight * |z|_0 ],   z_j = a_j where a_j > threshold_j, a = relu(encode(x))

    "auto" makes n_components twice the numbers of a sample, up to 4096.

    >>> jumprelu(128, max_epochs=1).fit(X).transform(X).shape
    (100, 128)
    """
    return Autoencoder(n_components, **_dictionary(JumpReLU(weight, l0), kwargs))


def _dictionary(bottleneck, kwargs: dict) -> dict:
    """A linear decoder whose columns, of length one, are the words that a sparse code speaks with."""
    words = {"architecture": Dense(hidden=(), activation=None, unit_norm=True), "loss": "squared", "corruption": None}
    return words | kwargs | {"bottleneck": bottleneck}


# ----------------------------------------------------------------------------------------------- contractive


@_about("penalties")
def contractive(n_components="auto", *, weight=0.1, **kwargs):
    """Codes that do not tremble when the input does (Rifai et al. 2011).

    minimises  E[ loss(x, decode(encode(x))) + weight * sum_j |d z_j / dx|^2 / var z_j ],   z = encode(x)

    >>> contractive(8, max_epochs=1).fit(X).transform(X).shape
    (100, 8)
    """
    return Autoencoder(n_components, penalties=Contractive(weight, scaled=True), **({"corruption": None} | kwargs))


@_about("penalties")
def stochastic_contractive(n_components="auto", *, weight=0.1, **kwargs):
    """Codes that do not tremble, by an estimate from one direction a sample that scales to any network (Hutchinson 1990).

    minimises  E[ loss(x, decode(z)) + weight * n |sum_j v_j (d z_j / dx) / std z_j|^2 ],   v a random unit vector of n numbers

    >>> stochastic_contractive(8, max_epochs=1).fit(X).transform(X).shape
    (100, 8)
    """
    penalty = Contractive(weight, "stochastic", scaled=True)
    return Autoencoder(n_components, penalties=penalty, **({"corruption": None} | kwargs))


# ----------------------------------------------------------------------------------------------- variational


@_about("bottleneck")
def variational(n_components="auto", *, beta=1.0, **kwargs):
    """A sample becomes a Gaussian over codes, held to N(0, I), from which new samples can be drawn (Kingma & Welling 2014).

    minimises  E[ loss(x, decode(z)) + beta * KL(q(z | x) || N(0, I)) ],   z ~ q(z | x)

    >>> variational(2, max_epochs=1).fit(X).sample(3).shape
    (3, 64)
    """
    return Autoencoder(n_components, bottleneck=Gaussian(beta), **({"corruption": None} | kwargs))


@_about("bottleneck")
def beta(n_components="auto", *, beta=4.0, **kwargs):
    """A variational autoencoder whose code costs more, so that fewer components say more of it (Higgins et al. 2017).

    minimises  E[ loss(x, decode(z)) + beta * KL(q(z | x) || N(0, I)) ],   beta >= 0; above 1 it costs more

    >>> beta(4, max_epochs=1).fit(X).sample(3).shape
    (3, 64)
    """
    return variational(n_components, beta=beta, **kwargs)


@_about("bottleneck", "penalties")
def beta_tc(n_components="auto", *, weight=5.0, **kwargs):
    """Components that vary apart from one another (Chen et al. 2018).

    minimises  E[ loss(x, decode(z)) + KL(q(z | x) || N(0, I)) ] + weight * KL(q(z) || prod_j q(z_j))

    >>> beta_tc(4, max_epochs=1).fit(X).sample(3).shape
    (3, 64)
    """
    return variational(n_components, penalties=TotalCorrelation(weight), **kwargs)


@_about("penalties")
def info(n_components="auto", *, weight=10.0, **kwargs):
    """Codes that as a whole look like draws from N(0, I) (InfoVAE, Zhao et al. 2019; WAE-MMD, Tolstikhin et al. 2018).

    minimises  E[ loss(x, decode(encode(x))) ] + weight * n * MMD^2(codes, N(0, I)),   n numbers in a code

    >>> info(4, max_epochs=1).fit(X).sample(3).shape
    (3, 64)
    """
    return Autoencoder(n_components, penalties=MMD(weight), **kwargs)


@_about("penalties")
def adversarial(n_components="auto", *, weight=10.0, **kwargs):
    """A discriminator holds the codes to N(0, I) (Makhzani et al. 2016).

    minimises  E[ loss(x, decode(z)) + weight * log(1 + exp(-D(z))) ],   while D learns to tell z from draws of N(0, I)

    >>> adversarial(4, max_epochs=1).fit(X).sample(3).shape
    (3, 64)
    """
    return Autoencoder(n_components, penalties=Adversary(weight), **kwargs)


@_about("bottleneck", "objective")
def importance_weighted(n_components="auto", *, draws=5, **kwargs):
    """A variational autoencoder with a tighter bound, from several draws a sample (Burda et al. 2016).

    minimises  -E[ log 1/k sum_i p(x | z_i) p(z_i) / q(z_i | x) ]

    >>> importance_weighted(2, max_epochs=1).fit(X).sample(3).shape
    (3, 64)
    """
    return variational(n_components, objective=ImportanceWeighted(draws), **kwargs)


@_about("bottleneck", "prior")
def vamp(n_components="auto", *, components=100, **kwargs):
    """A variational autoencoder whose prior is the mixture of posteriors of inputs that are learnt (Tomczak & Welling 2018).

    minimises  E[ loss(x, decode(z)) + log q(z | x) - log 1/K sum_k q(z | u_k) ];   `kl` in `history_` is the mean of that price

    >>> vamp(2, components=10, max_epochs=1).fit(X).sample(3).shape
    (3, 64)
    """
    return variational(n_components, prior=Vamp(components), **kwargs)


@_about("bottleneck")
def conditional(n_components="auto", *, beta=1.0, **kwargs):
    """A variational autoencoder that is told each sample's class, so that samples of a class can be drawn (Sohn et al. 2015).

    minimises  E[ loss(x, decode(z, c)) + beta * KL(q(z | x, c) || N(0, I)) ];   c goes to fit(X, condition=c)

    >>> conditional(2, max_epochs=1).fit(X, condition=y).sample(3, condition=7).shape
    (3, 64)
    """
    model = variational(n_components, beta=beta, **kwargs)
    model.asks_condition = True
    return model


@_about("penalties", "prior")
def regularised(n_components="auto", *, weight=0.01, components=10, **kwargs):
    """A plain autoencoder with small codes, and a mixture fitted to them afterwards (after RAE-L2, Ghosh et al. 2020).

    minimises  E[ loss(x, decode(z)) + weight * |z|^2 / 2 ];   then p(z) = sum_k weight_k N(mean_k, covariance_k)

    The paper also charges for the decoder's weights. Here the optimiser's own decay keeps all weights small: Muon's, which is
    on unless turned off; Adam has none unless told so, Training("adam", weight_decay=0.01).

    >>> regularised(4, components=3, max_epochs=1).fit(X).sample(3).shape
    (3, 64)
    """
    return Autoencoder(n_components, penalties=CodeNorm(weight), prior=Mixture(components), **kwargs)


# ------------------------------------------------------------------------------------------------- quantised


@_about("bottleneck")
def vq(n_components=16, *, codebook_size=256, dim=4, **kwargs):
    """Codes made of entries of a codebook, a byte each (van den Oord et al. 2017).

    minimises  E[ loss(x, decode(e)) + commitment * |v - e|^2 ],   e the entries nearest to v = encode(x)

    >>> vq(8, codebook_size=16, max_epochs=1).fit(X).transform(X).shape
    (100, 8)
    """
    return Autoencoder(n_components, bottleneck=VectorQuantized(codebook_size, dim), **({"corruption": None} | kwargs))


@_about("bottleneck")
def residual_vq(n_components=16, *, levels=4, codebook_size=256, dim=4, **kwargs):
    """Several codebooks, each for what those before left over (Zeghidour et al. 2021).

    minimises  E[ loss(x, decode(e)) + commitment * |v - e|^2 ],   e = e1 + e2 + ...

    >>> residual_vq(8, levels=2, codebook_size=16, max_epochs=1).fit(X).transform(X).shape
    (100, 8)
    """
    bottleneck = ResidualQuantized(levels, codebook_size, dim)
    return Autoencoder(n_components, bottleneck=bottleneck, **({"corruption": None} | kwargs))


@_about("bottleneck")
def fsq(n_components=12, *, levels=(8, 6, 5), **kwargs):
    """Every number of the code rounded to a few levels (Mentzer et al. 2024).

    minimises  E[ loss(x, decode(round(bound(encode(x))))) ]

    >>> fsq(6, max_epochs=1).fit(X).transform(X).shape
    (100, 6)
    """
    return Autoencoder(n_components, bottleneck=FiniteScalar(levels), **({"corruption": None} | kwargs))


# ---------------------------------------------------------------------------------------------- compression


@_about("bottleneck", "objective")
def compression(n_components="auto", *, rate=0.05, **kwargs):
    """Codes that are rounded, and cost the bits they take in a file (Ballé et al. 2017; Ballé et al. 2018, factorised density).

    minimises  E[ |x - decode(z)|^2 / 2 rate - log P(z) ],   z = step * round(encode(x) / step);  P and the steps are learnt

    `rate` says what a nat in the file is worth, as half a squared error of the scaled sample: the larger, the fewer bytes. None
    as n_components keeps a map, which for pictures may be as large as each of them.

    >>> compression(8, max_epochs=1).fit(X).reconstruct(X).shape
    (100, 64)
    """
    check_ranges(SimpleNamespace(rate=rate), {"rate": number("(0, inf)")}, "presets.compression")
    parts = {"bottleneck": Rounded(), "objective": RateDistortion(1 / rate)}
    return Autoencoder(n_components, **parts, **({"loss": "squared", "corruption": None} | kwargs))


def __getattr__(name: str):
    raise AttributeError(f"There is no preset {name!r}. Those there are: {', '.join(PRESETS)}.")


# Every function that is defined above, in its order, so that writing one is enough; helpers begin with an underscore.
PRESETS = {
    name: value
    for name, value in dict(globals()).items()
    if getattr(value, "__module__", None) == __name__ and not name.startswith("_")
}
