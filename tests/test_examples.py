"""The programs in examples/ run, on small settings, and draw what they say they draw."""

import importlib.util
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def example(path: Path):
    """The module at `path`; examples are programs, not a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_writes_nothing_unless_asked(path, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example(path).main(["--quick"])
    assert capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_draws_its_figure(path, tmp_path):
    pytest.importorskip("matplotlib", reason="the figures need matplotlib: pip install 'isthmus[plot]'")
    example(path).main(["--quick", "--output", str(tmp_path / "new")])
    assert [file.name for file in (tmp_path / "new").iterdir()] == [f"{path.stem}.png"]


def test_the_tutorials_network_on_mnist(data_folder):
    if not (data_folder / "images/mnist").is_dir():
        pytest.skip("needs MNIST in the folder that ISTHMUS_DATA names (images/mnist)")
    dense = example(EXAMPLES[0].with_name("digits_dense.py"))
    images = dense.pixels("mnist:test")[:512]
    model = dense.program(1).fit(images, validation=images)
    weights = sum(p.numel() for p in model.network_.parameters())
    assert weights == 2 * (784 * 128 + 128 * 64 + 64 * 32) + 128 + 64 + 32 + 64 + 128 + 784
    assert 0.1 < dense.cross_entropy(model) < 0.7
