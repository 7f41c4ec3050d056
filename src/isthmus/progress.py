"""How far a run has come, for people."""

import sys

from tqdm import tqdm


class Progress:
    """A bar on stderr with the losses, the rate and the time left; nothing where `verbose` is 0."""

    def __init__(self, run):
        self.count, self.last = len(run.samples.source), run.before + run.max_epochs
        self.bar = tqdm(
            total=run.max_epochs * self.count,
            unit=" samples",
            unit_scale=True,
            desc="training",
            file=sys.stderr,
            disable=not (run.verbose and run.processes.is_first),
            leave=run.verbose > 1,
        )

    def begin(self, state, run) -> None:
        """Some of it may lie behind already, which says nothing of the rate."""
        behind = (state.epoch - run.before - 1) * self.count + state.batch * run.batch_size
        self.bar.initial = self.bar.n = min(behind, run.max_epochs * self.count)
        self.name(state.epoch)

    def step(self, count: int) -> None:
        self.bar.update(count)

    def show(self, record: dict) -> None:
        shown = {"loss": f"{record['loss']:.4g}"} if "loss" in record else {}
        if "validation_loss" in record:
            shown["validation"] = f"{record['validation_loss']:.4g}"
        self.bar.set_postfix(shown, refresh=False)
        self.name(record["epoch"] + 1)

    def name(self, epoch: int) -> None:
        self.bar.set_description(f"training, epoch {min(epoch, self.last)}/{self.last}", refresh=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bar.close()
