"""The command line: `isthmus VERB ...`. Results go to stdout, progress and messages to stderr.

Nothing heavy is imported before a command runs, so that help is quick.
"""

import sys
import warnings

from cyclopts import CycloptsError
from cyclopts.config import Yaml

from . import (
    cluster,
    compress,
    detect,
    fitting,
    forecast,
    generation,
    map,
    models,
    recommend,
    restore,
    search,
)  # each file adds its commands to the app
from .common import app, note

__all__ = [
    "app", "cluster", "compress", "detect", "fitting", "forecast", "generation", "main", "map", "models", "recommend", "restore",
    "search",
]  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Runs one command: 0 where it worked, 1 where it failed or answers no, 2 where it was called wrongly, 130 after Ctrl-C."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in tokens
    tokens = [token for token in tokens if token != "--debug"]
    shown, warnings.formatwarning = warnings.formatwarning, lambda message, *_: f"isthmus: {message}\n"
    try:
        tokens = with_config(tokens)
        answer = app(tokens or ["--help"], exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        note(f"isthmus: {' '.join(str(error).split())}\nSee: isthmus --help")
        return 2
    except KeyboardInterrupt as stop:
        note(f"isthmus: {str(stop) or 'stopped by Ctrl-C before anything was written.'}")
        return 130
    except Exception as error:
        if debug:
            raise
        print(f"isthmus: {spoken(error)}", file=sys.stderr)  # by each of several processes, for it may be the only one to fail
        return 1
    finally:
        warnings.formatwarning = shown
    return answer if isinstance(answer, int) else 0


def spoken(error: Exception) -> str:
    """An error as a sentence; the system's own name the file first."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    return str(error) or type(error).__name__


def with_config(tokens: list[str]) -> list[str]:
    """Takes `--config file.yaml` out of the tokens and reads it: `fit: {n-components: 8}` stands for `fit -n 8`."""
    app.config = ()  # that of an earlier call in this process is over
    if "--config" not in tokens:
        return tokens
    place = tokens.index("--config")
    if place + 1 == len(tokens):
        raise ValueError("--config needs the path of a .yaml file.")
    app.config = (Yaml(tokens[place + 1], must_exist=True),)
    return tokens[:place] + tokens[place + 2 :]
