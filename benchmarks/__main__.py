"""Runs one table and appends what it measured to its log; `results` writes RESULTS.md and docs/variants.md from all logs.

    python -m benchmarks linear_pca                 in full; a JSON line a row goes to benchmarks/logs/linear_pca.jsonl
    python -m benchmarks linear_pca --quick         on little data, to see that it runs; logged only with --logs
    python -m benchmarks linear_pca --validate      judged by training rows that were held out, to choose settings by
    python -m benchmarks restoration --part blurred         these rows alone, of a table in parts (functions of its module)
    python -m benchmarks results

ISTHMUS_DATA names the folder with the data sets. ISTHMUS_PEER_JAX and ISTHMUS_PEER_TF name Python interpreters that have
Keras with JAX and with TensorFlow, ISTHMUS_PEER_SAE a folder with SAELens and dictionary_learning.
Rows whose data or interpreter is missing are logged as skipped, with the reason.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from . import TABLES, results, variants
from .data import MissingData
from .record import Row, append, facts_of_run


def main(arguments=None) -> None:
    options = parse(arguments)
    if options.name == "results":
        print(f"wrote {results.write(options.logs)} and {variants.write(options.logs)}")
        return
    table = import_module(f".{options.name}", __package__)
    options.seeds = range(1) if options.quick else options.seeds or range(getattr(table, "SEEDS", 1))
    common = {"benchmark": options.name, **facts_of_run()}
    try:
        for row in table.rows(options):
            print(spoken(row), flush=True)
            if options.logs:
                append(options.logs / f"{options.name}.jsonl", common, row)
    except MissingData as missing:
        sys.exit(f"{options.name}: skipped, {missing}")


def spoken(row: Row) -> str:
    """The row as one line for the terminal."""
    if row.skipped:
        return f"{row.row}: skipped, {row.skipped}"
    beside = "; ".join(f"{name} {results.number(value)}" for name, value in (row.baseline | row.also).items())
    return (
        f"{row.row}, seed {row.seed}: {results.number(row.value)} {row.unit}"
        + (f" ({beside})" if beside else "")
        + (f", goal {results.goal_text(row.goal)}" if row.goal else "")
        + (f"; {row.cost['seconds']:.1f} s" if row.cost else "")
        + (" (disturbed by other programs)" if row.cost.get("disturbed") else "")
    )


def seeds(text: str) -> range:
    """Of how many, or of which: 3 means 0 to 2, and 1-2 means 1 and 2."""
    first, dash, last = text.partition("-")
    return range(int(first), int(last) + 1) if dash else range(int(text))


def parse(arguments) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=[*TABLES, "results"])
    parser.add_argument("--seeds", type=seeds, help="how many seeds (3), or which (1-2); each table has its own default")
    parser.add_argument("--part", nargs="+", metavar="NAME", help="only these parts of a table that has parts")
    parser.add_argument("--repeats", type=int, default=3, help="rounds of tutorial_time")
    parser.add_argument("--peer-repeats", type=int, default=1, help="rounds of tutorial_time that include Keras")
    parser.add_argument("--quick", action="store_true", help="little data, few epochs, one seed; logged only with --logs")
    parser.add_argument("--validate", action="store_true", help="judge by a part of the training rows; logged only with --logs")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="benchmarks/logs, if neither --quick nor --validate")
    options = parser.parse_args(arguments)
    options.logs = options.logs or (None if options.quick or options.validate else Path(__file__).parent / "logs")
    return options


if __name__ == "__main__":
    main()
