"""`isthmus forecast`: what comes next."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from .common import Data, Force, Json, Out, ReadingFlags, app, loaded_application, note, opened, options_of, tell, tell_resized
from .output import free_file


@app.command
def forecast(
    model: Path,
    data: Data,
    *,
    output: Out,
    horizon: Annotated[
        int | None, Parameter(validator=Number(gte=1), help="Steps, frames or symbols; None: as many as are forecast at once.")
    ] = None,
    reading: ReadingFlags | None = None,
    force: Force = False,
    as_json: Json = False,
):
    """Write what comes after DATA, by what 'isthmus fit DATA --task forecast' wrote.

    Of series a .csv or .parquet table (unique_id, step, value, quantiles) or a .npy array; of films .npy, or .mp4 with the
    past in front; of text a .txt or .jsonl file; of any of them a .html page.
    """
    forecaster = loaded_application(model, "forecast")
    target = free_file(output, ENDINGS[forecaster.way_.kind], force)
    from .. import page_forecast

    X, _, _ = opened(data, forecaster.kind_of_path(data), ReadingFlags(**forecaster.reading_ | options_of(reading)))
    tell_resized(data, X, reading)
    found = page_forecast.Findings(forecaster, X, horizon)
    page_forecast.write(found, target, overwrite=force)
    result = {"output": str(target), "method": forecaster.method_, "horizon": found.horizon, "samples": len(found)}
    result |= {"comparison": forecaster.comparison_}
    tell(result, as_json, lambda: f"{target}: {found.said}, by {forecaster.method_.replace('_', ' ')}")
    if forecaster.method == "auto" and forecaster.method_ != "autoencoder":
        note(f"{forecaster.method_} was better than what was learnt on what was held out in fit; so it is what was used.")


ENDINGS = {
    "series": (".csv", ".parquet", ".npy", ".npz", ".html"),
    "video": (".npy", ".mp4", ".html"),
    "text": (".txt", ".jsonl", ".html"),
    "answers": (".txt", ".jsonl", ".html"),
}
