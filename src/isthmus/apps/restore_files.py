"""Restoring what lies in files: a picture, a folder of pictures, a film."""

import csv
import io
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from ..data.films import SUFFIXES as FILMS
from ..data.films import Film, write_film
from ..data.memory import free_memory
from ..files import file_aside, folder_aside, refuse_existing
from . import picture_files
from .fill import smooth_fill
from .marks import find_mark, without_mark
from .measures import psnr, ssim
from .objects import without_object
from .picture_files import Picture
from .steady import steadied

FIGURES = ("name", "psnr before", "psnr", "ssim before", "ssim", "seconds")
SHOWN = 12  # pairs that a page shows


def restored(
    restorer, data, output, *, mask=None, marked=None, clean=None, figures=None, report=None, still=True, overwrite=False
) -> dict:
    """Restores the picture, folder or film at `data` into `output`; what `isthmus restore` does.

    Returns a dict: output, count, of ("pictures" or "frames"), seconds, and with `clean` the mean figures.
    """
    data, output = Path(data).expanduser(), Path(output).expanduser()
    if not data.exists():
        raise FileNotFoundError(f"{data} does not exist. Give a picture, a folder of pictures, or a film.")
    refuse_original(data, output)
    for needing, said in ((figures, "figures"), (report, "report")):
        if needing is not None:
            refuse_existing(Path(needing), overwrite)
        if said == "figures" and needing is not None and clean is None:
            raise ValueError("figures are measured against clean pictures. Give clean= (--clean) too.")
    if data.suffix.lower() in FILMS:
        return restored_film(restorer, data, output, mask=mask, still=still, overwrite=overwrite)
    work = work_of(restorer, data, mask, marked, clean)
    rows: list[dict] = []
    shown: list[tuple] = []

    def written(name: Path, target: Path) -> None:
        before, after, row = work(name)
        picture_files.write(target, after)
        rows.append(row)
        if len(shown) < SHOWN:
            shown.append((str(name), before.pixels, after.pixels, row))

    began = time.perf_counter()
    if data.is_dir():
        refuse_foreign(output, data, overwrite)
        with folder_aside(output, replace=overwrite) as aside:
            for name in picture_files.picture_files(data):
                written(name, aside / name)
    else:
        refuse_existing(output, overwrite)
        written(Path(data.name), output)
    result = {"output": str(output), "count": len(rows), "of": "pictures" if len(rows) > 1 else "picture"}
    result |= {"seconds": round(time.perf_counter() - began, 3)}
    if clean is not None:
        result |= {name: float(np.mean([row[name] for row in rows])) for name in FIGURES[1:5]}
    if figures is not None:
        write_figures(Path(figures), rows)
        result["figures"] = str(figures)
    if report is not None:
        from .. import page_restore

        page_restore.write(restorer, shown, Path(report), rows if clean is not None else None, overwrite=overwrite)
        result["report"] = str(report)
    return result


def work_of(restorer, data: Path, mask, marked, clean) -> Callable[[Path], tuple[Picture, Picture, dict]]:
    """What is done with the picture of a name: it as it was, restored, and its figures."""
    folder = data if data.is_dir() else data.parent

    def beside(place, name: Path) -> np.ndarray | None:
        if place is None:
            return None
        file = Path(place).expanduser()
        file = file / name if data.is_dir() else file
        if not file.is_file():
            raise FileNotFoundError(f"{file} is not there: one is expected for {folder / name}, under the same name.")
        return picture_files.read(file).pixels

    def work(name: Path):
        began = time.perf_counter()
        before, wanted, hidden = picture_files.read(folder / name), beside(clean, name), beside(mask, name)
        try:
            hole = None if hidden is None else [hidden.reshape(*hidden.shape[:2], -1)[..., 0] > 0]
            pixels = restorer.restore([before.pixels], hole, marked=marked)[0]
            if wanted is not None and wanted.shape[:2] != pixels.shape[:2]:
                raise ValueError(f"its clean picture is {wanted.shape[1]} x {wanted.shape[0]} pixels. Bring both to one size.")
        except ValueError as error:
            raise ValueError(f"{folder / name}: {error}") from error
        row = {"name": str(name), "seconds": time.perf_counter() - began}
        if wanted is not None:
            row |= figures_of(before.pixels, pixels, wanted)
        return before, Picture(pixels, before.kept), row

    return work


def figures_of(before: np.ndarray, after: np.ndarray, clean: np.ndarray) -> dict:
    """PSNR in dB and SSIM, before and after; before: NaN where the size was another."""
    after, clean = alike(after, clean)
    found = {"psnr": psnr(after, clean), "ssim": ssim(after, clean)}
    same = before.shape[:2] == clean.shape[:2]
    before, clean = alike(before, clean)
    return found | {
        "psnr before": psnr(before, clean) if same else float("nan"),
        "ssim before": ssim(before, clean) if same else float("nan"),
    }


def alike(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with as many channels: without transparency, grey as three alike beside colours."""
    both = [values if values.ndim == 3 else values[..., None] for values in (one, other)]
    both = [values[..., :-1] if values.shape[-1] in (2, 4) else values for values in both]
    most = max(values.shape[-1] for values in both)
    one, other = (np.broadcast_to(values, (*values.shape[:2], most)) for values in both)
    return one, other


def write_figures(file: Path, rows: list[dict]) -> None:
    text = io.StringIO()
    table = csv.DictWriter(text, FIGURES)
    table.writeheader()
    table.writerows({name: row[name] if name == "name" else f"{row[name]:.6g}" for name in FIGURES} for row in rows)
    with file_aside(file) as opened:
        opened.write(text.getvalue().encode())


# --------------------------------------------------------------------------------------------------------- films


def restored_film(restorer, data: Path, output: Path, *, mask=None, still=True, overwrite=False) -> dict:
    """A film, frame by frame, with its rate and sound; with a mask what it covers is taken out, and nothing else changed."""
    if mask is not None:
        return erased(data, output, mask, fill=restorer.fill if restorer.fills_ else smooth_fill, overwrite=overwrite)
    film, began = opened_film(data, output, overwrite), time.perf_counter()
    frames = (restorer.restore(frame[None])[0] for frame in frames_of(film))
    write_beside(output, steadied(frames) if still else frames, film)
    return told(output, len(film), began)


def erased(data, output, mask, fill=smooth_fill, overwrite=False) -> dict:
    """A film, or a folder of frames of one size, without what a mask covers; what `isthmus erase` does.

    mask : a picture, white where the object is in all frames; or a folder or a film of them, one for each frame
    """
    data, output, mask = (Path(path).expanduser() for path in (data, output, mask))
    refuse_original(data, output)
    began = time.perf_counter()
    frames, names = all_frames(data)
    holes = masks_in(mask, len(frames))
    whole = without_object(frames, holes, fill)
    return written_frames(data, output, whole, names, began, overwrite)


def unmarked(data, output, mask=None, fill=smooth_fill, overwrite=False) -> dict:
    """A film, or a folder of pictures of one size, without the mark that all have at one place; what `isthmus unmark` does."""
    data, output = Path(data).expanduser(), Path(output).expanduser()
    refuse_original(data, output)
    began = time.perf_counter()
    frames, names = all_frames(data)
    hole = None if mask is None else masks_in(Path(mask).expanduser(), 1)[0]
    mark = find_mark(frames, hole)
    result = written_frames(data, output, list(without_mark(frames, mark, fill)), names, began, overwrite)
    return result | {"mark": int(mark.mask.sum()), "filled": int(mark.rest.sum())}


def all_frames(data: Path) -> tuple[list[np.ndarray], list[Path] | None]:
    """Frames of a film, or the pictures of a folder and their names; refuses more than memory holds."""
    if not data.exists():
        raise FileNotFoundError(f"{data} does not exist. Give a film, or a folder of pictures of one size.")
    if data.is_dir():
        names = picture_files.picture_files(data)
        return [picture_files.read(data / name).pixels for name in names], names
    if data.suffix.lower() not in FILMS:
        raise ValueError(f"{data}: one mark or object over many frames needs a film, or a folder of pictures of one size.")
    film = Film(data)
    needed, free = 2 * len(film) * int(np.prod(film.shape)), free_memory()
    if needed > free:
        raise ValueError(
            f"{data} has {len(film):,} frames, which take {needed / 2**30:.1f} GiB, but {free / 2**30:.1f} GiB are free. Cut it "
            "into parts."
        )
    frames = list(frames_of(film))
    film.close()
    return frames, None


def masks_in(mask: Path, count: int) -> list[np.ndarray]:
    """A mask for each of so many frames: one picture for all, or as many of them."""
    if not mask.exists():
        raise FileNotFoundError(f"{mask} does not exist. Give a picture that is white where something is to go.")
    if mask.is_dir() or mask.suffix.lower() in FILMS:
        found, _ = all_frames(mask)
    else:
        found = [picture_files.read(mask).pixels] * count
    if len(found) != count:
        raise ValueError(f"{mask} holds {len(found)} masks for {count} frames: one for each is expected, or one picture for all.")
    return [np.asarray(one).reshape(*one.shape[:2], -1).max(-1) > 127 for one in found]


def written_frames(data: Path, output: Path, frames, names, began: float, overwrite: bool) -> dict:
    """Frames as the film they came from, or under their names in a folder."""
    if names is None:
        film = opened_film(data, output, overwrite)
        write_beside(output, frames, film)
        return told(output, len(frames), began)
    refuse_foreign(output, data, overwrite)
    with folder_aside(output, replace=overwrite) as aside:
        for name, frame in zip(names, frames, strict=True):
            picture_files.write(aside / name, Picture(frame, picture_files.read(data / name).kept))
    return told(output, len(frames), began) | {"of": "pictures"}


def opened_film(data: Path, output: Path, overwrite: bool) -> Film:
    if output.suffix.lower() != ".mp4":
        raise ValueError(f"-o {output}: a film goes to a file that ends in .mp4.")
    refuse_existing(output, overwrite)
    return Film(data)


def frames_of(film: Film) -> Iterator[np.ndarray]:
    return (film.pixels(frame) for place, frame in film.decoded(0, len(film)))


def write_beside(output: Path, frames: Iterable[np.ndarray], film: Film) -> None:
    """A film of these frames, with the rate and the sound of another."""
    with file_aside(output) as file:
        write_film(file, frames, film.rate, sound=film.path)
    film.close()


def told(output: Path, count: int, began: float) -> dict:
    return {"output": str(output), "count": count, "of": "frames", "seconds": round(time.perf_counter() - began, 3)}


# ---------------------------------------------------------------------------------------------------- what is kept


def refuse_original(data: Path, output: Path) -> None:
    """Never writes over what is restored, or into it."""
    one, other = data.resolve(), output.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise ValueError(
            f"-o {output} would write over {data}, or into it. The originals stay as they are: choose another place."
        )


def refuse_foreign(output: Path, data: Path, overwrite: bool) -> None:
    """Refuses to replace a folder that holds anything but pictures under the names that are written now."""
    refuse_existing(output, overwrite)
    if not output.exists():
        return
    if not output.is_dir():
        raise FileExistsError(f"{output} is a file, and pictures go to a folder. Choose another name.")
    ours = {str(name) for name in picture_files.picture_files(data)}
    others = sorted(
        str(p.relative_to(output)) for p in output.rglob("*") if p.is_file() and str(p.relative_to(output)) not in ours
    )
    if others:
        raise FileExistsError(
            f"{output} holds other files ({', '.join(others[:3])}), so it is not replaced. Choose another name."
        )
