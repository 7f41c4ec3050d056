"""Restoring what lies in files: a picture, a folder of pictures, a film."""

import csv
import io
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from ..data.films import SUFFIXES as FILMS
from ..data.films import Film, write_film
from ..files import file_aside, folder_aside, refuse_existing
from . import picture_files
from .measures import psnr, ssim
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
    rows, shown = [], []

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
        before, wanted, hole = picture_files.read(folder / name), beside(clean, name), beside(mask, name)
        try:
            hole = None if hole is None else [hole.reshape(*hole.shape[:2], -1)[..., 0] > 0]
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
    """A film, frame by frame, with its rate and sound."""
    if output.suffix.lower() != ".mp4":
        raise ValueError(f"-o {output}: a film goes to a file that ends in .mp4.")
    refuse_existing(output, overwrite)
    film, began = Film(data), time.perf_counter()
    hole = None
    if mask is not None:
        hole = picture_files.read(Path(mask)).pixels
        hole = hole.reshape(*hole.shape[:2], -1)[..., 0] > 0
    frames = restored_frames(restorer, (film.pixels(frame) for _, frame in film.decoded(0, len(film))), hole)
    with file_aside(output) as file:
        write_film(file, steadied(frames) if still else frames, film.rate, sound=data)
    film.close()
    return {"output": str(output), "count": len(film), "of": "frames", "seconds": round(time.perf_counter() - began, 3)}


def restored_frames(restorer, frames: Iterable[np.ndarray], mask: np.ndarray | None = None) -> Iterator[np.ndarray]:
    for frame in frames:
        yield restorer.restore(frame[None], None if mask is None else mask[None])[0]


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
