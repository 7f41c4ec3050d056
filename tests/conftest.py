"""Small data that the tests share; no test reaches the network or the user's own cache."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from isthmus import Autoencoder


@pytest.fixture(scope="session", autouse=True)
def cache_of_its_own(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISTHMUS_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny matrices gain nothing from a second thread, and the tests of two processes would be in each other's way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def data_folder():
    folder = os.environ.get("ISTHMUS_DATA")
    if not folder:
        pytest.skip("needs the data sets in the folder that ISTHMUS_DATA names, and it is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def digits():
    """All 1797 pictures, (n, 64) from 0 to 1, and their labels."""
    bunch = load_digits()
    return bunch.data / 16, bunch.target


@pytest.fixture
def X(digits):
    """100 rows of 64 numbers from 0 to 16."""
    return digits[0][:100] * 16


@pytest.fixture
def y(digits):
    """The digits that the rows of X show."""
    return digits[1][:100]


@pytest.fixture
def images(digits):
    """100 pictures (8, 8), uint8."""
    return (digits[0][:100] * 255).round().astype(np.uint8).reshape(-1, 8, 8)


@pytest.fixture
def model(X):
    return Autoencoder(4, max_epochs=1, random_state=0).fit(X)


@pytest.fixture
def folder(tmp_path):
    return tmp_path
