"""Clusters of Ray: `fit` by workers of Ray Train, and `encode` of Parquet by Ray Data. Both need `pip install "isthmus[ray]"`.

Ray only starts the processes: each worker runs the command that one machine would, and they train together as under `torchrun`.
All machines see the same files, and have isthmus installed.
"""

import importlib
import logging
import os
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .files import folder_aside, refuse_existing

PATIENCE = 5.0  # seconds that an address has to answer in
FAILURES = 3  # lost workers, one after the other, before a run that keeps checkpoints is given up
ROWS = 4096  # of a block that is encoded at once
PATHS = ("data", "output", "checkpoint", "target", "validation")  # arguments of `fit` that may be one


def fit(address: str, workers: int, arguments: dict[str, Any]) -> None:
    """Runs `isthmus fit` with these arguments in so many workers; where one is lost, anew, from the last checkpoint.

    address : "host:port", "ray://host:port", or "auto" for the cluster that this machine is part of
    """
    with cluster(address) as ray:
        cpus, gpus = (int(ray.cluster_resources().get(kind, 0)) for kind in ("CPU", "GPU"))
        on_gpu = gpus > 0 and str(arguments.get("device") or "auto") in ("auto", "cuda")
        there, kind = (gpus, "GPUs") if on_gpu else (cpus, "CPUs")
        if workers > there:
            raise ValueError(f"--workers {workers}, but the cluster at {address} has {there} {kind}. Ask for {there} or fewer.")
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer

        output = Path(arguments["output"]).resolve()
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}.ray-", dir=output.parent, ignore_cleanup_errors=True) as aside:
            trainer = TorchTrainer(
                work,
                train_loop_config=with_whole_paths(arguments) | {"on_gpu": on_gpu},
                scaling_config=ScalingConfig(num_workers=workers, use_gpu=on_gpu),
                run_config=RunConfig(
                    storage_path=aside, failure_config=FailureConfig(max_failures=FAILURES if arguments.get("checkpoint") else 0)
                ),
            )
            try:
                trainer.fit()
            except Exception as error:
                raise RuntimeError(f"The run on Ray failed: {cause_of(error)}") from error


def work(arguments: dict[str, Any]) -> None:
    """What each worker does."""
    import torch

    from .cli.fitting import fit

    arguments = dict(arguments)
    if arguments.pop("on_gpu"):
        from ray.train.torch import get_device

        torch.cuda.set_device(get_device())
    fit(**arguments)


def encode(address: str, model: Path, data: str, output: Path, force: bool = False, workers: int | None = None) -> None:
    """Streams a Parquet data set, a file or a folder of them, through a model, and writes its codes as a folder of Parquet files.

    Rows keep their order. `workers` : processes that encode at a time; by default one for each CPU but one, which reads.
    """
    source = Path(data).resolve()
    if not source.exists() or (source.is_file() and source.suffix.lower() != ".parquet"):
        raise FileNotFoundError(f"{data} is no Parquet file, nor a folder of them, which is what is encoded on a cluster.")
    refuse_existing(output, force)
    with cluster(address) as ray:
        workers = workers or max(1, int(ray.cluster_resources().get("CPU", 1)) - 1)
        ray.data.DataContext.get_current().execution_options.preserve_order = True
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        with folder_aside(output, replace=force) as aside:
            rows = ray.data.read_parquet(str(source))
            codes = rows.map_batches(
                Encoder, fn_constructor_args=(str(model.resolve()),), batch_format="pandas", batch_size=ROWS, concurrency=workers
            )
            try:
                codes.write_parquet(str(aside))
            except Exception as error:
                raise RuntimeError(f"Encoding on Ray failed: {cause_of(error)}") from error


class Encoder:
    """A model in a worker: a frame of samples becomes one of codes."""

    def __init__(self, path: str):
        from . import load

        self.model = load(path, only="encoder").set_output(transform="pandas")

    def __call__(self, frame):
        return self.model.transform(frame).reset_index(drop=True)


# ----------------------------------------------------------------------------------------------------------- helpers


@contextmanager
def cluster(address: str):
    """Ray, connected for as long as this lasts."""
    ray = ray_here()
    refuse_unreachable(address)
    joined = not ray.is_initialized()
    if joined:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            ray.init(address=address, logging_level="error", log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise ConnectionError(f"No cluster of Ray answers at {address} ({first_line(error)}). {CURE}") from error
    try:
        yield ray
    finally:
        if joined:
            ray.shutdown()


CURE = "Start one with 'ray start --head', and pass the address that it prints, or --ray auto on one of its machines."


def ray_here():
    try:
        importlib.import_module("ray.data")
        importlib.import_module("ray.train.torch")
        return importlib.import_module("ray")
    except ImportError as error:
        raise ImportError('Clusters of Ray need ray. Install it: pip install "isthmus[ray]"') from error


def refuse_unreachable(address: str) -> None:
    """Refuses an address that nobody listens at, within seconds; Ray itself tries for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    if not (colon and host and port.isdecimal()):
        raise ValueError(f"--ray {address}: an address such as 10.0.0.1:6379 is expected, or ray://10.0.0.1:10001, or auto.")
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise ConnectionError(f"No cluster of Ray answers at {address} ({error}). {CURE}") from error


def with_whole_paths(arguments: dict[str, Any]) -> dict[str, Any]:
    """Workers run elsewhere, so files are named from the root."""
    found = dict(arguments)
    for name in PATHS:
        value = found.get(name)
        if isinstance(value, Path) or (isinstance(value, str) and Path(value).exists()):
            found[name] = type(value)(Path(value).resolve()) if isinstance(value, str) else value.resolve()
    return found


def cause_of(error: BaseException) -> str:
    """The sentence that a worker's own error says."""
    failures = getattr(error, "worker_failures", None)
    if failures:
        error = next((one for one in failures.values() if type(one).__name__ != "Lost"), error)
    while (inner := getattr(error, "cause", None) or getattr(error, "_base_exc", None) or error.__cause__) is not None:
        error = inner
    return first_line(error)


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[-1]
