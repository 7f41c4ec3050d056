"""The borders within the package, and what importing it costs."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import isthmus

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "isthmus"
FILES = sorted(SOURCE.rglob("*.py"))
PUBLIC = [
    "Autoencoder",
    "Text",
    "Training",
    "__version__",
    "apps",
    "callbacks",
    "data",
    "datasets",
    "load",
    "parts",
    "plots",
    "presets",
    "report",
]

# What each layer may import besides the standard library; "isthmus.x" is a module of ours, with all that is in it.
LAYERS = {
    "parts": {"torch", "numpy", "sklearn.mixture", "PIL", "kornia.filters", "kornia.metrics", "isthmus.parts", "isthmus.records"},
    "data": {
        *("av", "numpy", "torch", "scipy", "sklearn", "PIL", "narwhals", "pandas", "pyarrow", "tokenizers"),
        *("isthmus.data", "isthmus.files", "isthmus.records"),
    },
}
OUTER = (
    "__main__",
    "cli",
    "demo",
    "distributed",
    "ink",
    "loading",
    "page",
    "page_cluster",
    "page_codes",
    "page_compress",
    "page_detect",
    "page_forecast",
    "page_generate",
    "page_search",
    "page_map",
    "page_samples",
    "page_restore",
    "page_table",
    "plots",
    "report",
    "sentences",
    "study",
    "study_table",
    "apps",
    "web",
)  # know the public names and one another


def module_of(file: Path) -> str:
    """The dotted name of a source file, such as isthmus.parts.base."""
    parts = file.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(file: Path) -> str:
    """The first name below the package: a folder or a file at its top."""
    return file.relative_to(SOURCE).with_suffix("").parts[0]


def imports_of(file: Path) -> list[str]:
    """Full dotted names of all that a file imports, wherever in the file."""
    package = module_of(file) if file.name == "__init__.py" else module_of(file).rpartition(".")[0]
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            found += [f"{name}.{alias.name}" for alias in node.names]
    return [name for name in found if name.split(".")[0] not in sys.stdlib_module_names]


def within(name: str, allowed) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in allowed)


CORE = [file for file in FILES if layer_of(file) not in (*OUTER, "__init__", "data", "datasets", "information", "parts")]


def shown(file: Path) -> str:
    return str(file.relative_to(SOURCE))


# ---------------------------------------------------------------------------------------------------- borders


@pytest.mark.parametrize("layer", ["parts", "data"])
def test_parts_and_data_know_only_themselves_and_what_they_compute_with(layer):
    for file in (SOURCE / layer).rglob("*.py"):
        strangers = [name for name in imports_of(file) if not within(name, LAYERS[layer])]
        assert not strangers, f"{shown(file)} imports {strangers}"


@pytest.mark.parametrize("file", CORE, ids=shown)
def test_the_core_knows_parts_data_and_itself(file):
    ours = {"isthmus.__version__", "isthmus.data", "isthmus.parts", *map(module_of, CORE)}
    strangers = [name for name in imports_of(file) if within(name, {"isthmus"}) and not within(name, ours)]
    assert not strangers, f"{shown(file)} imports {strangers}"


@pytest.mark.parametrize("file", [file for file in FILES if layer_of(file) in OUTER], ids=shown)
def test_what_is_built_on_the_core_knows_its_public_names_only(file):
    public = {f"isthmus.{name}" for name in (*PUBLIC, *OUTER, "files", "information", "saving")}
    strangers = [name for name in imports_of(file) if within(name, {"isthmus"}) and not within(name, public)]
    private = [name for name in imports_of(file) if re.search(r"\._(?!_)", name)]
    assert not strangers + private, f"{shown(file)} imports {strangers + private}"


# ----------------------------------------------------------------------------------------------- public names


def test_the_public_names_are_these():
    assert sorted(isthmus.__all__) == sorted(dir(isthmus)) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_there(name):
    assert getattr(isthmus, name) is not None


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'Autoencodr'"):
        _ = isthmus.Autoencodr


@pytest.mark.parametrize("name", ["parts", "data"])
def test_what_a_folder_exports_is_there(name):
    folder = getattr(isthmus, name)
    assert all(hasattr(folder, exported) for exported in folder.__all__)


def test_the_version_is_the_distributions():
    assert importlib.metadata.version("isthmus") == isthmus.__version__


# ------------------------------------------------------------------------------------------------------- cost


def output_of(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("statement", ["import isthmus", "import isthmus.cli", "from isthmus import datasets"])
def test_importing_brings_in_neither_torch_nor_scikit_learn(statement):
    loaded = output_of(f"import sys; {statement}; print(*sys.modules)").split()
    assert not {"torch", "sklearn", "scipy", "matplotlib", "pandas"} & set(loaded)


def test_import_takes_at_most_a_tenth_of_a_second():
    code = "import time; began = time.perf_counter(); import isthmus; print(time.perf_counter() - began)"
    assert min(float(output_of(code)) for _ in range(5)) <= 0.1


def test_nothing_needs_torchvision_or_cuda():
    installed = {dist.metadata["Name"].lower() for dist in importlib.metadata.distributions() if dist.metadata["Name"]}
    assert "torchvision" not in installed
    assert not any(line.startswith("torchvision") for line in importlib.metadata.requires("isthmus"))
    assert torch.version.cuda or not [name for name in installed if name.startswith("nvidia-")]


# -------------------------------------------------------------------------------------------------------- text


def test_no_source_line_names_a_path_of_a_machine():
    paths = re.compile(rf"{re.escape(str(ROOT))}|(?<![\w.])/(work|home|root|Users|mnt|tmp)/|[A-Z]:\\\\")
    for folder in ("src", "examples", "benchmarks", "scripts", "docs"):
        for file in (ROOT / folder).rglob("*"):
            if file.suffix in (".py", ".md", "") and file.is_file():
                found = paths.search(file.read_text(encoding="utf-8"))
                assert not found, f"{file.relative_to(ROOT)} names {found.group()}"
