"""Training steps of SAELens and dictionary_learning, from a folder that holds both without what they need of language models.

    pip install --no-deps --target FOLDER sae-lens dictionary-learning einops typing_extensions simple-parsing docstring-parser

ISTHMUS_PEER_SAE names the folder. Their trainers are imported as they are; of transformer_lens, nnsight and other libraries that
they name but that a step on rows of numbers never calls, there are stand-ins: their hook points, modules that pass on what they
are given, and empty classes.
"""

import importlib.abc
import importlib.machinery
import os
import sys
import types
from importlib.metadata import distributions

import torch
from torch import nn

from . import MissingPeer

VARIABLE = "ISTHMUS_PEER_SAE"
ABSENT = ("transformer_lens", "transformers", "datasets", "wandb", "nnsight", "zstandard", "requests", "yaml")


def steppers(width: int, units: int, k: int, batch_size: int) -> dict:
    """name: (step, kill), `step` of a batch, with each one's own optimiser and defaults; `kill` declares units dead."""
    prepare()
    return {
        "SAELens": sae_lens_stepper(width, units, k, batch_size),
        "dictionary_learning": dictionary_learning_stepper(width, units, k),
    }


def versions() -> dict:
    """Of both, as they lie in the folder."""
    prepare()
    return {found.name: found.version for found in distributions(path=[os.environ[VARIABLE]])}


def prepare() -> None:
    folder = os.environ.get(VARIABLE)
    if not folder:
        raise MissingPeer(f"{VARIABLE} names no folder with SAELens and dictionary_learning")
    if folder not in sys.path:
        sys.path.append(folder)
        sys.meta_path.append(StandIns())  # last: what is installed is itself


def sae_lens_stepper(width: int, units: int, k: int, batch_size: int) -> tuple:
    from sae_lens.config import SAETrainerConfig
    from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.training.sae_trainer import SAETrainer

    sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=width, d_sae=units, k=k))
    config = SAETrainerConfig(10**6 * batch_size, batch_size, lr_end=3e-5)  # of a constant rate, which never reads it
    trainer = SAETrainer(config, sae, data_provider=iter(()))

    def step(batch):
        trainer.step(batch)
        trainer.n_training_steps += 1

    def kill(dead):
        trainer.n_forward_passes_since_fired[dead] = config.dead_feature_window + 1

    return step, kill


def dictionary_learning_stepper(width: int, units: int, k: int) -> tuple:
    from dictionary_learning.trainers.top_k import TopKTrainer

    trainer = TopKTrainer(steps=10**6, activation_dim=width, dict_size=units, k=k, layer=0, lm_name="", seed=0, device="cpu")
    count = iter(range(10**6))

    def step(batch):
        trainer.update(next(count), batch)

    def kill(dead):
        trainer.num_tokens_since_fired[dead] = trainer.dead_feature_threshold

    return step, kill


# ------------------------------------------------------------------------------------------------- stand-ins


class HookPoint(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class HookedRootModule(nn.Module):
    def setup(self) -> None:
        self.hook_dict = {name: module for name, module in self.named_modules() if isinstance(module, HookPoint)}


class StandIn(types.ModuleType):
    """A module that has every name: of hooks the classes above, else a class without contents."""

    __path__: list = []

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        known = {"HookPoint": HookPoint, "HookedRootModule": HookedRootModule}
        return known.get(name) or type(name, (), {})


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the libraries that are not installed."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] in ABSENT:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec):
        return StandIn(spec.name)

    def exec_module(self, module) -> None:
        """There is nothing in it."""
