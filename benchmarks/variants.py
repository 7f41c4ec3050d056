"""Writes docs/variants.md: of every preset its equation, composition, laws and facts, from the code, the tests and the logs."""

import ast
from collections.abc import Callable
from inspect import getdoc
from pathlib import Path

from isthmus.presets import PRESETS

from . import TABLES, results

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
EVERY = "every variant"  # what a law is marked with that runs over the whole table of tests/family.py
COLUMNS = ("fact", *results.COLUMNS[1:7], "table")
VERDICT = COLUMNS.index("verdict")

HEAD = """# Every variant: what it is, what holds for it, what it is better at

Written by `python -m benchmarks results` from `src/isthmus/presets.py`, the tests and `benchmarks/logs`; nothing here is typed
in by hand. [choose.md](choose.md) helps to choose. Of every preset there follow its equation, the estimator that it composes at
its defaults, its laws (tests, most of them in closed form) and its facts: median over the seeds, from least to greatest in
brackets, beside what the others reached in the same run. † other programs were running, so its times are not to be quoted.
In the equations encode(x) reads what the corruption leaves of x; at the defaults that is x itself, or x with a little noise
where samples are few (`corruption` of the estimator says how much).

Adding a preset takes four things, and each is found without being listed anywhere:

1. a function in `src/isthmus/presets.py`, whose docstring has a line with the source, the equation and an example that runs;
   `_about` above it names the parts that make it what it is, and the command line finds it and its parameters by itself;
2. a row of `SMALL` in `tests/family.py`, if its defaults do not fit into a code of four numbers;
3. a test of what its equation promises, marked `@pytest.mark.law_of("name")`;
4. a row that begins with "name: " in a table of `benchmarks/`, with the baseline that it is held against.
"""


def write(logs: Path) -> Path:
    """docs/variants.md; of logs that lie elsewhere, variants.md beside them."""
    ours = logs.resolve() == ROOT / "benchmarks" / "logs"
    path = (ROOT / "docs" if ours else logs.parent) / "variants.md"
    path.write_text(text(PRESETS, laws_of(TESTS), facts_of(logs)), encoding="utf-8")
    return path


def text(presets: dict[str, Callable], laws: dict[str, list[str]], facts: dict[str, list[tuple]]) -> str:
    """The page; laws are links and facts lines of a table, both by preset."""
    overview = [
        (f"[{name}](#{name})", summary(preset), str(len(laws.get(name, []))), standing(facts.get(name, [])))
        for name, preset in presets.items()
    ]
    parts = [HEAD, results.table(("preset", "in a line", "laws", "facts"), overview), "\n## All of them obey\n"]
    parts += [listed(laws.get(EVERY, []))]
    parts += [block(name, preset, laws.get(name, []), facts.get(name, [])) for name, preset in presets.items()]
    return "\n".join([*parts, ""])


def block(name: str, preset: Callable, laws: list[str], facts: list[tuple]) -> str:
    equation = (getdoc(preset) or "").split("\n\n")[1]
    lines = [f"\n## {name}\n", summary(preset), f"\n```\n{equation}\n\n{preset()!r}\n```\n", listed(laws), ""]
    return "\n".join([*lines, results.table(COLUMNS, facts) if facts else "No fact measured yet."])


def summary(preset: Callable) -> str:
    """What it does and where it comes from: the first line of its docstring."""
    return (getdoc(preset) or "").partition("\n")[0]


def listed(laws: list[str]) -> str:
    return "\n".join(f"- {law}" for law in laws)


def standing(facts: list[tuple]) -> str:
    """How many of the facts are met and missed; those without a goal are only counted."""
    verdicts = [line[VERDICT].strip("*").split("*")[0] or "reported" for line in facts]
    return ", ".join(f"{verdicts.count(word)} {word}" for word in dict.fromkeys(verdicts)) or "no fact measured yet"


def facts_of(logs: Path) -> dict[str, list[tuple]]:
    """Lines of the tables whose rows begin with the name of a preset, by preset."""
    found: dict[str, list[tuple]] = {}
    for table in TABLES:
        for row, group in results.newest(results.read(logs / f"{table}.jsonl")).items():
            name, fact = named(row)
            if name in PRESETS:
                line = (*results.cells(fact, group)[:7], f"[{table}](../benchmarks/{table}.py)")
                found.setdefault(name, []).append(line)
    return found


def named(row: str) -> tuple[str, str]:
    """The preset that a row is about, which stands before its first comma or colon, and what is said of it."""
    name = row.replace(":", ",").partition(",")[0]
    return name, row[len(name) + 1 :].strip()


def laws_of(folder: Path) -> dict[str, list[str]]:
    """Links to the tests marked `law_of`, by the names in the mark."""
    found: dict[str, list[str]] = {}
    for file in sorted(folder.glob("test_*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            for name in marked(node):
                words = node.name.removeprefix("test_").replace("_", " ")
                found.setdefault(name, []).append(f"[{words}](../{folder.name}/{file.name})")
    return found


def marked(node: ast.AST) -> list[str]:
    """The names in a test's mark `@pytest.mark.law_of("topk", "batch_topk")`."""
    calls = [call for call in getattr(node, "decorator_list", []) if isinstance(call, ast.Call)]
    return [ast.literal_eval(name) for call in calls if getattr(call.func, "attr", "") == "law_of" for name in call.args]
