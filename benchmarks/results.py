"""Writes RESULTS.md from the logs: of every row and seed the newest, median and range over seeds, and the verdict."""

import json
from importlib import import_module
from pathlib import Path
from statistics import median

from . import TABLES

HEAD = """# Results

Written by `python -m benchmarks results` from `benchmarks/logs`; nothing here is typed in by hand. Every row shows the newest
run of each seed: the median over the seeds, from least to greatest in brackets. What stands under "beside it" was measured in
the same run, but for what is called published. † other programs took more than 0.12 processors while a row was measured: its
times are not to be quoted. "missed by" is relative to the goal.
"""
COLUMNS = ("row", "measured", "unit", "seeds", "beside it", "goal", "verdict", "seconds", "peak MiB")


def write(logs: Path) -> Path:
    """RESULTS.md beside the folder of the logs."""
    path = logs.parent / "RESULTS.md"
    path.write_text(text(logs), encoding="utf-8")
    return path


def text(logs: Path) -> str:
    """The whole page."""
    return "\n".join([HEAD, *(section(name, newest(read(logs / f"{name}.jsonl"))) for name in TABLES)])


def read(path: Path) -> list[dict]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def newest(records: list[dict]) -> dict[str, list[dict]]:
    """By row, in the order the rows first came: of every seed the record of the newest run."""
    rows: dict[str, dict] = {}
    for record in sorted(records, key=lambda record: record["date"]):
        rows.setdefault(record["row"], {})[record["seed"]] = record
    order = dict.fromkeys(record["row"] for record in records)
    return {row: list(rows[row].values()) for row in order}


def section(name: str, rows: dict[str, list[dict]]) -> str:
    title, _, text = import_module(f".{name}", __package__).__doc__.partition("\n")
    lines = [f"## {title.rstrip('.')}", text.strip()]
    if not rows:
        return "\n\n".join([*lines, f"Not run yet: `python -m benchmarks {name}`.", ""])
    lines.append(table(COLUMNS, [cells(row, group) for row, group in rows.items()]))
    lines.append(footnote([record for group in rows.values() for record in group]))
    return "\n\n".join([*lines, ""])


def table(columns: tuple[str, ...], lines: list[tuple]) -> str:
    """A table of Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (columns, ("---",) * len(columns), *lines))


def cells(row: str, group: list[dict]) -> tuple[str, ...]:
    """One line of the table."""
    if group[0]["skipped"]:
        return (row, "–", group[0]["unit"], "–", "", goal_text(group[0]["goal"]), f"not run: {group[0]['skipped']}", "", "")
    cost = [record["cost"] for record in group if record["cost"]]
    mark = " †" if any(c["disturbed"] for c in cost) else ""
    return (
        row + mark,
        spread([record["value"] for record in group]),
        group[0]["unit"],
        str(len(group)) if group[0]["seed"] is not None else "",
        beside(group),
        goal_text(middle_goal(group)),
        verdict(group),
        f"{median(c['seconds'] for c in cost):.3g}" if cost else "",
        f"{max(c['peak_memory_mib'] for c in cost):.0f}"
        if cost and any(c["peak_memory_mib"] for c in cost)
        else "",  # 0: not measured
    )


def spread(values: list) -> str:
    """Median, and least to greatest where there is more than one."""
    found = [value for value in values if value is not None]
    if not found:
        return "not reached"
    missing = f", {len(values) - len(found)} not reached" if len(found) < len(values) else ""
    if len(found) == 1:
        return number(found[0]) + missing
    return f"{number(median(found))} ({number(min(found))} – {number(max(found))}{missing})"


def number(value: float | None) -> str:
    """Five figures."""
    if value is None:
        return "not reached"
    return f"{value:,.0f}" if abs(value) >= 100_000 else f"{value:.5g}"


def beside(group: list[dict]) -> str:
    """Baselines and further figures, each the median over the seeds, then what is published."""
    records = [record["baseline"] | record["also"] for record in group]
    measured = {name: median(record[name] for record in records) for name in records[0]}
    published = {f"{name} (published)": value for name, value in group[0]["published"].items()}
    return ", ".join(f"{name} {number(value)}" for name, value in (measured | published).items())


def middle_goal(group: list[dict]) -> dict:
    """The goal of a row: its median, where it follows from a baseline measured with every seed."""
    return {kind: median(record["goal"][kind] for record in group) for kind in group[0]["goal"]}


def goal_text(goal: dict) -> str:
    words = {"at_most": "≤", "at_least": "≥"}
    return " and ".join(f"{words[kind]} {number(bound)}" for kind, bound in goal.items())


def verdict(group: list[dict]) -> str:
    """Whether the median meets the goal, and by how much it does not. A seed that never got there counts as the worst."""
    goal = middle_goal(group)
    if not goal:
        return ""
    ((kind, bound),) = goal.items()
    worst = float("inf") if kind == "at_most" else float("-inf")
    value = median(worst if record["value"] is None else record["value"] for record in group)
    if value <= bound if kind == "at_most" else value >= bound:
        return "met"
    if abs(value) == float("inf"):
        return "**missed**: not reached"
    return f"**missed** by {abs(value - bound) / abs(bound):.1%}"


def footnote(records: list[dict]) -> str:
    """What the rows ran on and when, each said once."""
    machines = {
        "{processor}, {cores} cores, {memory_gib} GiB, accelerator: {accelerator}".format(**record["machine"])
        for record in records
    }
    versions = {", ".join(f"{name} {number}" for name, number in record["versions"].items()) for record in records}
    threads = {str(record["cost"]["threads"]) for record in records if record["cost"]}
    data = {f"{name} `{value[:12]}`" for record in records for name, value in record["data"].items()}
    dates = sorted({record["date"][:10] for record in records})
    notes = ["; ".join(sorted(machines)), f"threads: {', '.join(sorted(threads))}", "; ".join(sorted(versions))]
    notes += [f"data (SHA-256): {', '.join(sorted(data))}"] if data else []
    return "Measured " + " and ".join(dict.fromkeys([dates[0], dates[-1]])) + " on " + ". ".join(notes) + "."
