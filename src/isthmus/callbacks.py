"""Callbacks: what `fit(X, callbacks=[...])` tells while it trains."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from .checkpoint import Checkpoint
from .data import as_array, open_data

__all__ = ["Callback", "Checkpoint", "TensorBoard"]


class Callback:
    """The moments of a run, in their order; all do nothing. A callback may be any object that has some of these methods.

    Of a run that was stopped and taken up again (`fit(checkpoint=...)`), what came after the last checkpoint is told again.

    >>> from isthmus import Autoencoder
    >>> class Losses(Callback):
    ...     def on_epoch_end(self, network, record):
    ...         print(record["epoch"], sorted(record)[:3])
    >>> model = Autoencoder(4, max_epochs=1, random_state=0).fit(X, callbacks=[Losses()])
    1 ['epoch', 'learning_rate', 'loss']
    """

    def on_fit_begin(self, network, about: dict) -> None:
        """Before the first step. `about` says what runs: params, seed, versions, samples, epoch, batch_size, steps."""

    def on_step_end(self, network, step: int, terms: dict) -> None:
        """After every step, counted from 1. The terms are scalars that stay on the device: reading one waits for it."""

    def on_epoch_end(self, network, record: dict) -> bool | None:
        """After every epoch, with the line that `history_` gets; the training ends where this returns True."""

    def on_fit_end(self, network, history: list) -> None:
        """After the last epoch, when the weights that stay are in place."""


class TensorBoard(Callback):
    """Losses, how the code is used, and pictures beside what is made of them, in TensorBoard's files.

    It needs tensorboardX, which writes them: pip install "isthmus[tensorboard]". To look at them, install TensorBoard and run
    `tensorboard --logdir FOLDER`.

    Parameters
    ----------
    folder : path; of this run
    pictures : array of images, default None
        The first eight are shown above their reconstructions, as images that the model was fitted to.
    every : int, default 1; epochs from one row of pictures to the next

    >>> TensorBoard(folder / "run", pictures=images).every
    1
    """

    def __init__(self, folder, pictures=None, every: int = 1):
        self.folder, self.pictures, self.every = Path(folder).expanduser(), pictures, every
        self.writer: Any = None

    def on_fit_begin(self, network, about):
        self.writer = writer_of(self.folder, about["epoch"])
        words = "\n".join(f"    {name}: {value}" for name, value in about.items())  # indented: as it stands
        self.writer.add_text("run", words, 0)

    def on_epoch_end(self, network, record):
        epoch = record["epoch"]
        for name, value in record.items():
            if isinstance(value, list):
                self.writer.add_histogram(name, np.asarray(value, float), epoch)
            elif name != "epoch":
                self.writer.add_scalar(name, value, epoch)
        if self.pictures is not None and epoch % self.every == 0:
            self.writer.add_image("reconstructions", pairs(network, self.pictures), epoch, dataformats="HWC")
        self.writer.flush()

    def on_fit_end(self, network, history):
        self.writer.close()


def writer_of(folder: Path, epoch: int):
    """What an earlier start wrote of epochs that come again is left out of sight."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ImportError('TensorBoard files need tensorboardX. Install it: pip install "isthmus[tensorboard]"') from error
    return SummaryWriter(str(folder), purge_step=epoch)


@torch.no_grad()
def pairs(network, pictures, count: int = 8) -> np.ndarray:
    """(2 * height, count * width, channels), from 0 to 1: pictures above what the network makes of them."""
    if network.schema.kind != "images" or network.schema.varies:
        raise ValueError(f"Pictures are shown of models of images of one size; this one was fitted to {network.schema.kind}.")
    some = next(network.parameters())
    rows = network.schema.read(open_data(pictures[:count], "images")[0]).to(some.dtype, some.device)
    training = network.training
    network.eval()
    rebuilt = network.target_schema.write(network(rows.take(torch.arange(len(rows)))))
    network.train(training)
    both = [np.asarray(as_array(x), float) for x in (pictures[:count], rebuilt)]
    high = 255.0 if np.asarray(as_array(pictures)).dtype == np.uint8 else max(1e-12, both[0].max())
    both = [x[..., None] if x.ndim == 3 else x for x in both]
    shown = np.concatenate([np.concatenate(list(x), 1) for x in both]) / high
    return np.clip(shown[..., :3] if shown.shape[-1] > 2 else shown[..., :1], 0, 1)
