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


@app.command
def unmark(
    data: Annotated[Path, Parameter(help="A film, or a folder of pictures of one size.")],
    *,
    output: Out,
    mask: Annotated[Path | None, Parameter(help="A picture, white where the mark is; left away, it is looked for.")] = None,
    model: Annotated[Path | None, Parameter(help="A restorer that fills holes, for what the mark hides altogether.")] = None,
    force: Force = False,
    as_json: Json = False,
):
    """Take away one mark that all frames of DATA have at the same place. Nothing is trained: it is found in closed form.

    What is behind it must change from frame to frame. Over a picture that stands still the command says so, and asks for a mask
    and 'isthmus restore'.
    """
    refuse_unwritable(output)
    from ..apps import restore_files

    result = restore_files.unmarked(data, output, mask, filling(model), overwrite=force)
    tell(result, as_json, lambda: f"{said(result)}, a mark of {result['mark']:,} pixels, {result['filled']:,} of them filled")


@app.command
def erase(
    data: Annotated[Path, Parameter(help="A film, or a folder of frames of one size.")],
    *,
    mask: Annotated[Path, Parameter(help="A picture, white where the object is; or a folder or film of them, one a frame.")],
    output: Out,
    model: Annotated[Path | None, Parameter(help="A restorer that fills holes, for what no frame shows.")] = None,
    force: Force = False,
    as_json: Json = False,
):
    """Take an object out of all frames of DATA: what is behind it is borrowed from frames that show it, and else filled."""
    refuse_unwritable(output)
    from ..apps import restore_files

    result = restore_files.erased(data, output, mask, filling(model), overwrite=force)
    tell(result, as_json, lambda: said(result))


def filling(model: Path | None):
    """How holes are filled: by a restorer that learnt to, or smoothly."""
    from ..apps.fill import smooth_fill

    if model is None:
        return smooth_fill
    restorer = loaded_application(model, "restore")
    if not restorer.fills_:
        raise ValueError(f"{model} was not trained to fill holes. Fit one with --set damage=holes, or leave --model away.")
    return restorer.fill


def said(result: dict) -> str:
    gained = "" if "psnr" not in result else f", {result['psnr before']:.2f} -> {result['psnr']:.2f} dB"
    return f"{result['output']}: {result['count']} {result['of']}{gained}"


def colour_of(text: str) -> tuple[int, ...]:
    """255,0,255 as numbers."""
    parts = text.split(",")
    if len(parts) not in (1, 3) or not all(part.strip().isdecimal() for part in parts):
        raise ValueError(f"--marked {text}: one number is expected, or three, such as 255,0,255.")
    return tuple(int(part) for part in parts)
