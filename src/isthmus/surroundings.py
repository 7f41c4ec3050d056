"""What of the process is set while a run goes on, and is as it was before when it ends."""

import os
from contextlib import contextmanager

import torch

from .parts.random import key_of


@contextmanager
def surroundings(seed: int, device, deterministic: bool):
    """All of it, for as long as a run goes on."""
    with flushed_denormals(), own_randomness(seed, device), determinism(deterministic):
        yield


@contextmanager
def determinism(wanted: bool):
    """Operations whose results change from run to run, as some on a GPU, give way to others, or are refused by torch."""
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without which torch refuses products on a GPU
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@contextmanager
def own_randomness(seed: int, device):
    """The user's own layers may draw from torch's global generators: the draws follow the seed, and these stay as they were."""
    cuda = [device] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(key_of(seed, "layers") >> 1)
        for one in cuda:
            with torch.cuda.device(one):
                torch.cuda.manual_seed(key_of(seed, "layers") >> 1)
        yield


class flushed_denormals:
    """Rounds numbers below 1e-38 to zero while training: moments of dead units shrink to there and slow a CPU by a fifth.

    A setting of the thread, which the threads it starts inherit, so it is taken back afterwards.
    """

    def __enter__(self):
        self.before = bool(torch.tensor(1e-40) * 1 == 0)
        torch.set_flush_denormal(True)

    def __exit__(self, *_):
        torch.set_flush_denormal(self.before)
