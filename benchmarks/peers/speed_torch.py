"""The same epochs in plain PyTorch, as tutorials write it, the data in memory: python speed_torch.py FOLDER SETTINGS."""

import json
import resource
import sys
import time
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def dense(*widths: int) -> list[nn.Module]:
    return [m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.ReLU())]


class Variational(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(*dense(784, 512, 256))
        self.mean, self.log_var = nn.Linear(256, 16), nn.Linear(256, 16)
        self.decoder = nn.Sequential(*dense(16, 256, 512), nn.Linear(512, 784), nn.Sigmoid())

    def forward(self, x):
        hidden = self.encoder(x)
        mean, log_var = self.mean(hidden), self.log_var(hidden)
        z = mean + (0.5 * log_var).exp() * torch.randn_like(mean)
        kl = -0.5 * (1 + log_var - mean.square() - log_var.exp()).sum(1).mean() / 784
        return self.decoder(z), kl


class Recurrent(nn.Module):
    """An LSTM reads; another writes from the code, which it is given at every step."""

    def __init__(self):
        super().__init__()
        self.reader, self.code = nn.LSTM(1, 64, batch_first=True), nn.Linear(64, 16)
        self.writer, self.head = nn.LSTM(16, 64, batch_first=True), nn.Linear(64, 1)

    def forward(self, x):
        code = self.code(self.reader(x)[1][0][-1])
        return self.head(self.writer(code[:, None].expand(-1, x.shape[1], -1))[0])


def convolution() -> nn.Module:
    def conv(source, target):
        return nn.Conv2d(source, target, 3, padding=1)

    return nn.Sequential(
        *(conv(1, 16), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)),
        *(conv(16, 8), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)),
        *(conv(8, 8), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)),
        *(nn.Upsample(size=7), conv(8, 8), nn.ReLU()),
        *(nn.Upsample(size=14), conv(8, 16), nn.ReLU()),
        *(nn.Upsample(size=28), conv(16, 1), nn.Sigmoid()),
    )  # fmt: skip


NETWORKS = {
    "dense": lambda: nn.Sequential(*dense(784, 128, 64, 32, 64, 128), nn.Linear(128, 784), nn.Sigmoid()),
    "convolution": convolution,
    "variational": Variational,
    "recurrent": Recurrent,
}


def loss_of(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    output = model(x)
    if isinstance(output, tuple):
        return F.binary_cross_entropy(output[0], x) + output[1]
    return F.mse_loss(output, x) if isinstance(model, Recurrent) else F.binary_cross_entropy(output, x)


def train(model: nn.Module, X: torch.Tensor, batch_size: int, epochs: int) -> tuple[list[float], float]:
    optimizer, seconds, loss = torch.optim.Adam(model.parameters(), lr=1e-3), [], 0.0
    for _ in range(epochs):
        began, total = time.perf_counter(), 0.0
        for index in torch.randperm(len(X)).split(batch_size):
            optimizer.zero_grad()
            nats = loss_of(model, X[index])
            nats.backward()
            optimizer.step()
            total += nats.item() * len(index)
        seconds.append(time.perf_counter() - began)
        loss = total / len(X)
    return seconds, loss


if __name__ == "__main__":
    folder, settings = sys.argv[1], json.loads(sys.argv[2])
    torch.manual_seed(0)
    X = torch.from_numpy(np.load(f"{folder}/train.npy"))
    X = X[:, None] if settings["network"] == "convolution" else X
    seconds, loss = train(NETWORKS[settings["network"]](), X, settings["batch_size"], settings["epochs"])
    peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    print(json.dumps({"seconds": seconds, "loss": loss, "peak_memory_mib": peak}))
