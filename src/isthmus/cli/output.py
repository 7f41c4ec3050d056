"""Where results may go, and how they are written: whole or not at all."""

import math
import os
from pathlib import Path


def refuse_unwritable(path: Path) -> None:
    """Says before the work, not after it, that its result cannot be written."""
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise NotADirectoryError(f"{path} cannot be written: {parent} is a file, not a folder. Choose another place.")
    if not os.access(parent, os.W_OK):
        raise PermissionError(f"{path} cannot be written: you may not write to the folder {parent}. Choose another place.")


def free_file(path: Path, suffixes: tuple[str, ...], force: bool, or_folder: str = "") -> Path:
    """The path, once it is certain that it has a known ending and may be written; `or_folder` says what else it could be."""
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"-o {path}: a file that ends in {' or '.join(suffixes)}{or_folder} is expected.")
    from ..files import refuse_existing

    refuse_existing(path, force)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, and a file is written. Choose another name.")
    refuse_unwritable(path)
    return path


def free_output(path: Path, model, force: bool) -> Path:
    """A file of an ending that the kind of data has, or a folder: a new one, or with --force one of nothing but results."""
    schema = model.target_schema_
    if not path.suffix and "" in schema.endings:
        refuse_replacing_folder(path, schema, force)
        return path
    or_folder = ", or the name of a folder, without an ending," if "" in schema.endings else ""
    return free_file(path, tuple(ending for ending in schema.endings if ending), force, or_folder)


def refuse_several(path: Path, samples) -> None:
    """Says before the work that a file of one sound cannot hold several."""
    from ..data import sound

    if path.suffix.lower() == ".wav":
        sound.refuse_several(len(samples))


def free_drawing(path: Path, model, force: bool) -> Path:
    """A file for new samples: what their kind of data is written to, or a picture, where they are arrays; no film, for a drawing
    has no rate, and no folder of pictures."""
    endings = model.target_schema_.endings
    if ".npy" not in endings:
        return free_output(path, model, force)
    return free_file(path, (".png", *(ending for ending in endings if ending not in ("", ".mp4"))), force)


def refuse_replacing_folder(path: Path, schema, force: bool) -> None:
    from ..files import refuse_existing

    refuse_existing(path, force)
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is a file, and {schema.kind} go to a folder. Choose another name.")
    others = schema.others_in(path) if path.exists() else []
    if others:
        raise FileExistsError(
            f"{path} holds what isthmus did not write ({', '.join(others[:3])}), so it is not replaced. Choose another name, or "
            "move that away."
        )


def write_result(path: Path, values, names: list[str] | None, model, force: bool) -> None:
    """Samples in a file or a folder, written aside and renamed: a failure leaves nothing behind."""
    from ..data import Named
    from ..files import file_aside, folder_aside

    schema = model.target_schema_
    refuse_outside(path, names or [])
    if path.suffix.lower() == ".npz" and names is not None and type(values) is list:
        values = Named(values, names)
    if path.suffix:
        with file_aside(path) as file:
            schema.write_file(file, values, path.suffix.lower())
        return
    width = len(str(len(values) - 1))
    with folder_aside(path, replace=force) as aside:
        schema.write_folder(aside, values, names or [f"{i:0{width}d}" for i in range(len(values))])


def refuse_outside(folder: Path, names: list[str]) -> None:
    """Refuses names, which may come from a file of codes, that lead out of the folder."""
    for name in map(Path, names):
        if name.is_absolute() or ".." in name.parts:
            raise ValueError(
                f"{str(name)!r} lies outside of {folder}. Names of files within it are expected: rename this sample."
            )


def write_films(path: Path, model, clips, force: bool) -> None:
    """Every film rebuilt, as many frames at its rate: as one .mp4, or in a folder under its old name."""
    from ..data import Clips
    from ..data.video import film_place
    from ..files import file_aside, folder_aside

    if not isinstance(clips, Clips):
        raise ValueError(f"-o {path}: what comes from an array has no frame rate. Write an array, .npy.")
    if path.suffix:
        if len(clips.films) > 1:
            raise ValueError(f"-o {path}: these are {len(clips.films)} films. Give the name of a folder, without an ending.")
        with file_aside(path) as file:
            write_rebuilt(file, model, clips, 0)
        return
    with folder_aside(path, replace=force) as aside:
        for number, name in enumerate(clips.names):
            with open(film_place(aside, name), "wb") as file:
                write_rebuilt(file, model, clips, number)


def write_rebuilt(file, model, clips, number: int) -> None:
    """One film, rebuilt a few windows at a time."""
    from ..data import save_video

    film, windows = clips.films[number], clips.windows_of(number)
    several = max(1, min(model.block_, 2**28 * len(clips) // clips.nbytes))  # a quarter of a gigabyte
    parts = (windows[i : i + several] for i in range(0, len(windows), several))
    save_video(
        file, (window for part in parts for window in model.reconstruct(clips[part.start : part.stop])), film.rate, len(film)
    )


def write_drawn(path: Path, values, model, shape: str | None, columns: int | None = None) -> None:
    """Samples as pictures side by side in one .png, or in a file as their kind of data is written to."""
    if path.suffix.lower() != ".png":
        return write_result(path, values, None, model, force=True)
    import numpy as np

    from ..data.images import as_bytes, grid
    from ..files import file_aside

    values = values if shape is None else shaped(values, shape)
    if values.ndim not in (3, 4):
        raise ValueError(
            f"The samples have shape {values.shape[1:]} and are no pictures. Give --shape 28,28, or write a .npy array."
        )
    low, high = (
        (0.0, 1.0) if values.dtype.kind == "u" or (values.min() >= 0 and values.max() <= 1) else (values.min(), values.max())
    )
    pictures = values if values.dtype.kind == "u" else as_bytes((values - low) / (high - low))
    from PIL import Image

    with file_aside(path) as file:
        Image.fromarray(as_bytes(grid(np.asarray(pictures), columns))).save(file, "PNG")
    return None


def shaped(values, shape: str):
    """Vectors as the pictures that `--shape` says they are."""
    return values.reshape(len(values), *sizes_of(shape, math.prod(values.shape[1:])))


def sizes_of(shape: str, numbers: int) -> tuple[int, ...]:
    """Height and width, and channels where they are given, of pictures of so many numbers."""
    try:
        sizes = tuple(int(size) for size in shape.split(","))
    except ValueError:
        sizes = ()
    if len(sizes) not in (2, 3) or min(sizes) < 1 or math.prod(sizes) != numbers:
        raise ValueError(
            f"--shape {shape}: height and width, such as 28,28, are expected (and channels, such as 32,32,3), and their product "
            f"must be the {numbers:,} numbers of a sample."
        )
    return sizes
