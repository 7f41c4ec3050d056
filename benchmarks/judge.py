"""A small classifier of digits, trained with labels, that judges what models without labels make."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

EPOCHS = 4
BATCH = 128


class Judge(nn.Module):
    """Two convolutions and a layer of 64 features, which `features` gives and `forward` turns into ten logits."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(16, 32, 5, stride=2, padding=2), nn.ReLU(),
            nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(64, 10)

    def forward(self, pictures):
        return self.head(self.features(pictures))


def trained_judge(X: np.ndarray, digit: np.ndarray, seed: int = 0) -> Judge:
    """Trained on rows of 784 grey levels from 0 to 1."""
    torch.manual_seed(seed)
    judge, count = Judge(), len(X)
    optimizer = torch.optim.Adam(judge.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, EPOCHS * -(-count // BATCH))
    for _ in range(EPOCHS):
        for index in torch.randperm(count).split(BATCH):
            loss = F.cross_entropy(judge(pictures(X[index])), torch.as_tensor(digit[index]).long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return judge.eval()


def pictures(X: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(np.asarray(X, np.float32)).view(-1, 1, 28, 28)


@torch.no_grad()
def features(judge: Judge, X: np.ndarray) -> np.ndarray:
    return np.concatenate([judge.features(block).numpy() for block in pictures(X).split(1000)]).astype(np.float64)


@torch.no_grad()
def named(judge: Judge, X: np.ndarray) -> np.ndarray:
    """The digits that the judge reads."""
    return np.concatenate([judge(block).argmax(1).numpy() for block in pictures(X).split(1000)])


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance of two sets of features, each taken as a Gaussian (Heusel et al. 2017).

    |mean_a - mean_b|^2 + trace(C_a + C_b - 2 (C_a C_b)^(1/2)); the trace of the root is the sum of the roots of C_a C_b's
    eigenvalues, which are real and not negative.
    """
    C_a, C_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(C_a @ C_b).real.clip(0))
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(C_a) + np.trace(C_b) - 2 * roots.sum())
