"""Callbacks: what `fit(X, callbacks=[...])` tells while it trains."""

from .checkpoint import Checkpoint

__all__ = ["Callback", "Checkpoint"]


class Callback:
    """The moments of a run, in their order; all do nothing. A callback may be any object that has some of these methods.

    Of a run that was stopped and taken up again (`fit(checkpoint=...)`), the steps since the last checkpoint are told again.

    >>> class Losses(Callback):
    ...     def on_epoch_end(self, network, record):
    ...         print(record["epoch"], sorted(record)[:3])
    >>> model = Autoencoder(4, max_epochs=1, random_state=0).fit(X, callbacks=[Losses()])
    1 ['epoch', 'learning_rate', 'loss']
    """

    def on_fit_begin(self, network, about: dict) -> None:
        """Before the first step; `about` says what runs: parameters, steps, seed and versions."""

    def on_step_end(self, network, step: int, terms: dict) -> None:
        """After every step, counted from 1. The terms are scalars that stay on the device: reading one waits for it."""

    def on_epoch_end(self, network, record: dict):
        """After every epoch, with the line that `history_` gets; the training ends where this returns True."""

    def on_fit_end(self, network, history: list) -> None:
        """After the last epoch, when the weights that stay are in place."""
