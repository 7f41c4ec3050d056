"""Every example that is shown to a reader runs as written: docstrings, README and docs."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import isthmus

ROOT = Path(__file__).resolve().parents[1]
MODULES = ["isthmus", *(module.name for module in pkgutil.walk_packages(isthmus.__path__, "isthmus."))]
PAGES = [Path("README.md"), *sorted(page.relative_to(ROOT) for page in (ROOT / "docs").glob("*.md"))]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def python_blocks(page: Path) -> list[str]:
    """The ```python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_docstring_examples_run_as_shown(name, X, y, images, model, folder):
    module = importlib.import_module(name)
    names = {"np": np, "torch": torch, "X": X, "y": y, "images": images, "model": model, "folder": folder}
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    report: list[str] = []
    for example in doctest.DocTestFinder().find(module, name, extraglobs=names):
        runner.run(example, out=report.append)
    assert not runner.summarize(verbose=False).failed, "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_python_on_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    if not (ROOT / page).exists():
        pytest.skip(f"{page} is not written yet")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for number, block in enumerate(python_blocks(ROOT / page), start=1):
        exec(compile(block, f"{page}, python block {number}", "exec"), names)
