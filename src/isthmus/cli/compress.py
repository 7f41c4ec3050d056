"""`isthmus compress` and `isthmus decompress`: data as a file of few bytes, and back."""

from pathlib import Path

from .common import Data, Force, Json, Out, ReadingFlags, app, note, opened_for, tell
from .output import free_file, free_output, refuse_unwritable, write_result


@app.command
def compress(
    model: Path, data: Data, *, output: Out, reading: ReadingFlags | None = None, force: Force = False, as_json: Json = False
):
    """Write DATA as a .isth file, which MODEL, and no other, turns back. MODEL is trained by 'isthmus fit --task compress'.

    The size that is told is all that is needed but the model.
    """
    target = free_file(output, (".isth",), force)
    compressor = compressor_in(model)
    X, names = opened_for(compressor.model_, data, reading)
    compressor.compress_to(target, X, names=names, overwrite=force)
    samples, size = len(X), target.stat().st_size
    raw = sum(int(getattr(one, "nbytes", 0)) for one in (X if isinstance(X, list) else [X]))
    result = {"output": str(target), "samples": samples, "bytes": size, "bytes_per_sample": size / samples, "raw_bytes": raw}
    result |= {"model_bytes": compressor.model_bytes}
    beside = f", 1/{raw / size:,.0f} of the {raw:,} in memory" if raw else ""
    tell(
        result,
        as_json,
        lambda: (
            f"{target}: {samples:,} samples in {size:,} bytes, {size / samples:,.1f} each{beside}; "
            f"the model, {compressor.model_bytes:,} bytes, is not counted"
        ),
    )


@app.command
def decompress(model: Path, file: Path, *, output: Out, force: Force = False):
    """Write what a .isth FILE holds, as the data were: a .npy array, a table, or a folder of .png pictures under their names.

    FILE is refused where a byte of it changed, where it was cut off, or where another model wrote it.
    """
    compressor = compressor_in(model)
    target = free_output(output, compressor.model_, force)
    refuse_unwritable(target)
    if not file.is_file():
        raise FileNotFoundError(f"{file} is no file. Give the .isth file that 'isthmus compress' wrote.")
    from ..apps import isth

    with open(file, "rb") as opened:
        names = isth.read(opened, compressor.fingerprint_)[0].get("names")
    samples = compressor.decompress(file)
    write_result(target, samples, names, compressor.model_, force)
    note(f"Wrote {target}: {len(samples):,} samples.")


def compressor_in(path: Path):
    """The application in a folder, which must be one that compresses."""
    from .. import load

    found = load(path)
    if not hasattr(found, "compress_to"):
        holds = f"an application for {found.task}" if hasattr(found, "task") else "a model alone, without tables for its codes"
        raise ValueError(f"{path} holds {holds}. Train what is needed here: isthmus fit DATA --task compress -o {path}-compress.")
    return found
