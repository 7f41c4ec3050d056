"""Priors: what codes look like as a whole, so that new ones can be drawn.

A prior offers
    build(network)               makes its tensors; the network's code_shape and inlet.shape are known by then
    fit(codes)                   learns from codes, (n, *code_shape), after training
    look(values)                 sees the training samples once, before training
    trained = True               where its parameters are trained along, and the bottleneck's cost is measured against it
    log_prob(z, network)         log p(z), (batch,), in nats
    sample(random, network) -> z one code for each row of `random`
"""

import math

import torch
from torch import Tensor, nn

from .base import Data, Part
from .gaussian import log_normal
from .random import Random
from .ranges import whole


class Prior(Part):
    """A density over codes, flattened to (batch, n)."""

    trained = False

    def build(self, network) -> None:
        self.code_shape = network.code_shape
        self.size = math.prod(network.code_shape)

    def fit(self, codes: Tensor) -> None:
        """Nothing to learn."""

    def look(self, data: Data) -> None:
        """Sees the training samples once, before training. Nothing to see here."""


class Normal(Prior):
    """The standard normal, N(0, I): what `Gaussian`, `MMD` and `Adversary` hold codes to.

    >>> class network: code_shape = (3,)
    >>> normal = Normal()
    >>> normal.build(network), normal.sample(Random(0, "sample", 0, torch.arange(5)), network).shape
    (None, torch.Size([5, 3]))
    """

    def log_prob(self, z: Tensor, network) -> Tensor:
        return log_normal(z.flatten(1)).sum(1)

    def sample(self, random: Random, network) -> Tensor:
        return random.normal(self.code_shape)


class Mixture(Prior):
    """A mixture of Gaussians, fitted to the codes after training (Ghosh et al. 2020, "ex-post density estimation").

        p(z) = sum_k weight_k N(z; mean_k, covariance_k)

    scikit-learn's `GaussianMixture` does the fit.

    Parameters
    ----------
    components : int, default 10
    random_state : int, default 0; of its start

    >>> class network: code_shape = (2,)
    >>> mixture = Mixture(3)
    >>> mixture.build(network), mixture.fit(torch.randn(100, 2))
    (None, None)
    >>> mixture.sample(Random(0, "sample", 0, torch.arange(5)), network).shape
    torch.Size([5, 2])
    """

    weights: Tensor
    means: Tensor
    roots: Tensor
    ranges = {"components": whole("[1, inf)"), "random_state": whole("[0, 4294967295]")}

    def __init__(self, components=10, random_state=0):
        super().__init__()
        self.components = components
        self.random_state = random_state

    def build(self, network):
        super().build(network)
        self.register_buffer("weights", torch.zeros(self.components))
        self.register_buffer("means", torch.zeros(self.components, self.size))
        self.register_buffer("roots", torch.zeros(self.components, self.size, self.size))  # Cholesky factors of the covariances

    def look(self, data):
        if len(data) < self.components:
            raise ValueError(
                f"Mixture(components={self.components}) needs at least as many samples, but there are {len(data)}. Set fewer "
                "components."
            )

    def fit(self, codes):
        from sklearn.mixture import GaussianMixture

        self.look(codes)
        found = GaussianMixture(self.components, random_state=self.random_state, reg_covar=1e-5)
        found.fit(codes.flatten(1).double().cpu().numpy())
        self.weights.copy_(torch.from_numpy(found.weights_))
        self.means.copy_(torch.from_numpy(found.means_))
        self.roots.copy_(torch.linalg.cholesky(torch.from_numpy(found.covariances_)))

    def log_prob(self, z, network):
        away = z.flatten(1)[:, None, :, None] - self.means[:, :, None]  # (batch, components, n, 1)
        white = torch.linalg.solve_triangular(self.roots, away, upper=False).squeeze(-1)
        volume = self.roots.diagonal(dim1=1, dim2=2).log().sum(1)
        return (log_normal(white).sum(2) - volume + self.weights.log()).logsumexp(1)

    def sample(self, random, network):
        edges = self.weights.cumsum(0)[:-1]
        chosen = torch.searchsorted(edges, random.uniform((1,), edges.dtype).flatten())
        eps = random.normal((self.size,), self.means.dtype)
        return (self.means[chosen] + (self.roots[chosen] @ eps[..., None]).squeeze(-1)).view(-1, *self.code_shape)


class Vamp(Prior):
    """The mixture of the posteriors of inputs that are learnt (Tomczak & Welling 2018, "VAE with a VampPrior").

        p(z) = 1/K sum_k q(z | u_k),   u_k trained with the model

    Needs a Gaussian bottleneck. The first u_k are training samples.

    Parameters
    ----------
    components : int, default 100; K

    >>> Vamp(50)
    Vamp(components=50)
    """

    trained = True
    ranges = {"components": whole("[1, inf)")}

    def __init__(self, components=100):
        super().__init__()
        self.components = components

    def build(self, network):
        super().build(network)
        if network.condition:
            raise ValueError(f"{self!r} is made of inputs without a condition, but the model is told one. Leave prior away.")
        if not getattr(network.bottleneck, "posterior", False):
            raise ValueError(f"{self!r} is made of posteriors, but bottleneck={network.bottleneck!r} has none. Use Gaussian().")
        if network.inlet.columns is not None:
            raise ValueError(f"{self!r} trains inputs, which cells of a table cannot be. Use Normal(), or Mixture() afterwards.")
        if network.schema.tokens:
            raise ValueError(f"{self!r} trains inputs, which tokens cannot be. Use Normal(), or Mixture() afterwards.")
        if None in network.inlet.shape:
            raise ValueError(
                f"{self!r} trains inputs of one size, but these samples differ in it. Use Normal(), or Mixture() afterwards."
            )
        self.inputs = nn.Parameter(torch.zeros(self.components, *network.inlet.shape))

    @torch.no_grad()
    def look(self, data):
        chosen = torch.linspace(0, len(data) - 1, self.components, device=data.values.device).round().long()
        self.inputs.copy_(data.values[chosen])

    def log_prob(self, z, network):
        seen = network.encode(Data(self.inputs)).extra  # deterministic: means and variances of all components
        each = log_normal(z[:, None], seen["mean"], seen["logvar"]).sum(2)  # (batch, components)
        return each.logsumexp(1) - math.log(self.components)

    def sample(self, random, network):
        chosen = (random.uniform((1,)).flatten() * self.components).long()
        seen = network.encode(Data(self.inputs[chosen]))
        return network.bottleneck.draw(seen, random)


class Autoregressive(Prior):
    """Discrete codes one after the other, each given those before: a recurrent network over their indices.

        p(i_1, ..., i_m) = prod_t p(i_t | i_1, ..., i_(t-1))

    Needs a quantised bottleneck (van den Oord et al. 2017, section 3.3, there with a PixelCNN). Places of a map are read row by
    row, and levels of a residual code after one another.

    Parameters
    ----------
    width : int, default 128; of the recurrent state
    epochs : int, default 10; of its own training, with Adam

    >>> Autoregressive(64)
    Autoregressive(width=64)
    """

    ranges = {"width": whole("[1, inf)"), "epochs": whole("[1, inf)")}

    def __init__(self, width=128, epochs=10):
        super().__init__()
        self.width = width
        self.epochs = epochs

    def build(self, network):
        super().build(network)
        if not hasattr(network.bottleneck, "from_index"):
            raise ValueError(
                f"{self!r} reads indices, but bottleneck={network.bottleneck!r} makes none. Use VectorQuantized(), "
                "ResidualQuantized() or FiniteScalar()."
            )
        self.index_shape, self.entries = network.bottleneck.index_shape, network.bottleneck.entries
        self.embed = nn.Embedding(self.entries + 1, self.width)  # the last is the start
        self.place = nn.Parameter(torch.zeros(math.prod(self.index_shape), self.width))
        self.recurrent = nn.GRU(self.width, self.width, batch_first=True)
        self.head = nn.Linear(self.width, self.entries)

    def fit(self, codes):
        """`codes` are indices, (n, *index_shape)."""
        index = codes.flatten(1).long()
        optimizer = torch.optim.Adam(self.parameters(), 3e-3)
        with torch.enable_grad():
            for epoch in range(self.epochs):
                order = torch.randperm(len(index), generator=torch.Generator().manual_seed(epoch)).to(index.device)
                for batch in order.split(256):
                    optimizer.zero_grad()
                    self.nats(index[batch]).mean().backward()
                    optimizer.step()

    def nats(self, index: Tensor) -> Tensor:
        """-log p of index sequences (batch, length): (batch,)."""
        before = torch.cat([index.new_full((len(index), 1), self.entries), index[:, :-1]], 1)
        hidden, _ = self.recurrent(self.embed(before) + self.place)
        return nn.functional.cross_entropy(self.head(hidden).movedim(-1, 1), index, reduction="none").sum(1)

    def log_prob(self, z, network):
        raise ValueError("Autoregressive() is a prior over indices: it has no density at a code of real numbers.")

    def sample(self, random, network):
        drawn: list[Tensor] = []
        token = torch.full((len(random.rows), 1), self.entries, device=self.place.device)
        state, chance = None, random.uniform((len(self.place),)).to(self.place)
        for t in range(len(self.place)):
            hidden, state = self.recurrent(self.embed(token) + self.place[t], state)
            edges = self.head(hidden[:, 0]).softmax(1).cumsum(1)
            token = torch.searchsorted(edges, chance[:, t : t + 1].contiguous()).clamp_max(self.entries - 1)
            drawn.append(token)
        return network.bottleneck.from_index(torch.cat(drawn, 1).view(-1, *self.index_shape))


PRIORS = {"normal": Normal, "mixture": Mixture, "vamp": Vamp, "autoregressive": Autoregressive}
