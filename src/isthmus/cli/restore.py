"""`isthmus restore`: pictures and films without their damage."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .common import Force, Json, Out, app, loaded_application, tell
from .output import refuse_unwritable


@app.command
def restore(
    model: Path,
    data: Annotated[Path, Parameter(help="A picture, a folder of pictures, or a film.")],
    *,
    output: Out,
    mask: Annotated[
        Path | None,
        Parameter(help="What is missing: a picture of the same size, white there; for a folder, a folder with the same names."),
    ] = None,
    marked: Annotated[str | None, Parameter(help="Or the colour that stands where something is missing: 255,0,255.")] = None,
    clean: Annotated[
        Path | None, Parameter(help="The undamaged picture or folder, under the same names, to measure what was gained.")
    ] = None,
    figures: Annotated[Path | None, Parameter(help="A .csv with the figures of every picture; needs --clean.")] = None,
    report: Annotated[Path | None, Parameter(help="A .html page: before and after, side by side.")] = None,
    still: Annotated[
        bool, Parameter(help="Of a film: average what does not move over the frames, so that it does not flicker.")
    ] = True,
    force: Force = False,
    as_json: Json = False,
):
    """Restore the pictures or the film at DATA by what 'isthmus fit DATA --task restore' wrote.

    A picture goes to a file, a folder to a folder under the same names, a film to an .mp4 with its rate and sound. Size, bits,
    transparency and metadata stay as they are; the originals are never replaced.
    """
    refuse_unwritable(output)
    restorer = loaded_application(model, "restore")
    from ..apps import restore_files

    colour = None if marked is None else colour_of(marked)
    result = restore_files.restored(
        restorer,
        data,
        output,
        mask=mask,
        marked=colour,
        clean=clean,
        figures=figures,
        report=report,
        still=still,
        overwrite=force,
    )
    tell(result, as_json, lambda: said(result))


def said(result: dict) -> str:
    gained = "" if "psnr" not in result else f", {result['psnr before']:.2f} -> {result['psnr']:.2f} dB"
    return f"{result['output']}: {result['count']} {result['of']}{gained}"


def colour_of(text: str) -> tuple[int, ...]:
    """255,0,255 as numbers."""
    parts = text.split(",")
    if len(parts) not in (1, 3) or not all(part.strip().isdecimal() for part in parts):
        raise ValueError(f"--marked {text}: one number is expected, or three, such as 255,0,255.")
    return tuple(int(part) for part in parts)
