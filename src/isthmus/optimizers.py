"""Muon: momentum whose matrices are brought close to orthogonal before they are applied; Adam for the rest."""

import torch
from torch import Tensor

# Newton-Schulz quintics, one triple (a, b, c) a step: greedily minimax for singular values in [0.02, 1] after scaling by a
# tight bound on the largest ("Polar Express", Amsel et al. 2025). Three steps do about what five of the usual ones do.
_QUINTICS = ((7.7110, -22.1138, 16.2487), (3.2153, -2.4112, 0.5013), (2.2183, -1.5940, 0.4107))
_BLOCK = 256  # rows done together: the products cost rows^2, and blocks of a wide layer lose next to nothing


def orthogonalise(matrices: Tensor) -> Tensor:
    """About the nearest (semi-)orthogonal matrices: (count, m, n) with m <= n, each U S V' becomes about U V'; zero stays.

    A Newton-Schulz step X <- a X + b (X X') X + c (X X')^2 X multiplies X from the left by a polynomial of its Gram matrix
    X X', so the steps are gathered in one m x m matrix: the wide factor is read twice instead of twice a step.
    """
    matrices = matrices / matrices.abs().amax((-2, -1), keepdim=True).clamp_min(1e-30)  # or squares of small ones underflow
    gram = matrices @ matrices.mT  # (count, m, m)
    square = gram @ gram
    bound = (
        1.01 * square.square().sum(-1, keepdim=True).sum(-2, keepdim=True).sqrt().sqrt() + 1e-30
    )  # at least the largest eigenvalue
    gram, square = gram / bound, square / bound / bound
    left = factor = gram
    for step, (a, b, c) in enumerate(_QUINTICS):
        if step:
            gram = gram @ factor @ factor  # polynomials of one matrix commute
            square = gram @ gram
        factor = b * gram + c * square
        factor.diagonal(dim1=-2, dim2=-1).add_(a)
        left = factor @ left if step else factor
    return (left / bound.sqrt()) @ matrices


class Muon:
    """Muon for weights of two and more axes, Adam for the rest (Jordan et al. 2024, "Muon").

        m <- beta m + (1 - beta) g
        W <- (1 - lr weight_decay) W - lr * 0.2 sqrt(max(rows, columns)) * orthogonalise(beta m + (1 - beta) g)

    The factor gives updates of the root mean square that Adam's have (Liu et al. 2025), so one rate serves both. Kernels
    are read as matrices of (channels out, everything else). Matrices of one shape are done together, and those with more
    than 256 rows in blocks of rows, each made orthogonal on its own. This is no
    `torch.optim.Optimizer`: making one imports the compiler, which takes longer than many a fit.

    Parameters
    ----------
    parameters : of a network
    learning_rate : float; step size of both, may be changed between steps
    weight_decay : float; decoupled, for the matrices
    momentum : float, default 0.9
    betas, eps : of Adam
    """

    def __init__(self, parameters, learning_rate, weight_decay=0.0, momentum=0.9, betas=(0.9, 0.99), eps=1e-8):
        self.parameters = [p for p in parameters if p.requires_grad]
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.momentum, self.betas, self.eps = momentum, betas, eps
        self.moments = [torch.zeros_like(p) for p in self.parameters]
        self.squares = {i: torch.zeros_like(p) for i, p in enumerate(self.parameters) if p.ndim < 2}
        self.steps = 0

    def zero_grad(self) -> None:
        for p in self.parameters:
            p.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """What it remembers, by name; no copies."""
        moments = {f"moment.{i}": moment for i, moment in enumerate(self.moments)}
        return moments | {f"square.{i}": square for i, square in self.squares.items()} | {"steps": torch.tensor(self.steps)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Remembers what another of the same parameters did."""
        for name, own in self.tensors().items():
            own.copy_(tensors[name])
        self.steps = int(tensors["steps"])

    @torch.no_grad()
    def step(self) -> None:
        self.steps += 1
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for i, p in enumerate(self.parameters):
            if p.grad is not None:
                by_shape.setdefault(tuple(sorted((p.shape[0], p[0].numel()))) if p.ndim > 1 else (), []).append(i)
        for shape, group in by_shape.items():
            (self._matrix_step if shape else self._vector_step)(group)

    def _matrix_step(self, group: list[int]) -> None:
        updates = []
        for i in group:
            gradient: Tensor = self.parameters[i].grad  # type: ignore[assignment]
            self.moments[i].lerp_(gradient, 1 - self.momentum)
            updates.append(wide(torch.lerp(gradient, self.moments[i], self.momentum)))
        for i, update in zip(group, in_row_blocks(torch.stack(updates)), strict=True):
            p = self.parameters[i]
            if self.weight_decay:
                p.mul_(1 - self.learning_rate * self.weight_decay)
            tall = p.shape[0] > p[0].numel()
            p.add_((update.mT if tall else update).reshape(p.shape), alpha=-self.learning_rate * 0.2 * max(update.shape) ** 0.5)

    def _vector_step(self, group: list[int]) -> None:
        (beta1, beta2), gradients = self.betas, [self.parameters[i].grad for i in group]
        means, squares = [self.moments[i] for i in group], [self.squares[i] for i in group]
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
        scale = torch._foreach_sqrt(squares)
        torch._foreach_mul_(scale, (1 - beta2**self.steps) ** -0.5)
        torch._foreach_add_(scale, self.eps)
        rate = -self.learning_rate / (1 - beta1**self.steps)
        torch._foreach_addcdiv_([self.parameters[i] for i in group], means, scale, rate)


class Adam:
    """AdamW by PyTorch's fused kernel (Kingma & Ba 2015; Loshchilov & Hutter 2019).

    The kernel is called itself: making a `torch.optim.Optimizer` imports the compiler, which takes longer than many a fit, and
    its step takes as long again as the kernel on a small network. The bits are the same.
    """

    def __init__(self, parameters, learning_rate, weight_decay=0.0, betas=(0.9, 0.99), eps=1e-8):
        self.parameters = [p for p in parameters if p.requires_grad]
        self.learning_rate, self.weight_decay, self.betas, self.eps = learning_rate, weight_decay, betas, eps
        self.means = [torch.zeros_like(p) for p in self.parameters]
        self.squares = [torch.zeros_like(p) for p in self.parameters]
        self.steps = [torch.zeros((), dtype=torch.float32, device=p.device) for p in self.parameters]

    def zero_grad(self) -> None:
        for p in self.parameters:
            p.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """What it remembers, by name; no copies."""
        kinds = {"mean": self.means, "square": self.squares, "steps": self.steps}
        return {f"{name}.{i}": tensor for name, tensors in kinds.items() for i, tensor in enumerate(tensors)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Remembers what another of the same parameters did."""
        for name, own in self.tensors().items():
            own.copy_(tensors[name])

    @torch.no_grad()
    def step(self) -> None:
        moved = [i for i, p in enumerate(self.parameters) if p.grad is not None]
        if not moved:
            return
        weights, gradients = [self.parameters[i] for i in moved], [self.parameters[i].grad for i in moved]
        means, squares, steps = ([every[i] for i in moved] for every in (self.means, self.squares, self.steps))
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            weights, gradients, means, squares, [], steps,
            lr=self.learning_rate, beta1=self.betas[0], beta2=self.betas[1], weight_decay=self.weight_decay, eps=self.eps,
            amsgrad=False, maximize=False,
        )  # fmt: skip


def in_row_blocks(matrices: Tensor) -> Tensor:
    """`orthogonalise` of (count, m, n), in the fewest equal blocks of at most 256 rows; whole where only slivers divide m."""
    count, rows, columns = matrices.shape
    least = -(-rows // _BLOCK)
    blocks = next((b for b in range(least, 2 * least) if rows % b == 0), 1)
    return orthogonalise(matrices.reshape(count * blocks, rows // blocks, columns)).view(count, rows, columns)


def wide(matrix: Tensor) -> Tensor:
    """As a matrix (first axis, everything else), turned so that it has no more rows than columns."""
    matrix = matrix.reshape(matrix.shape[0], -1)
    return matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix


OPTIMIZERS = {"muon": Muon, "adam": Adam}
