"""Targets of another length, or another kind, than their samples: what goes in is one thing, what comes out another."""

import numpy as np
import pytest

from isthmus import Autoencoder, Text, load
from isthmus.parts import Dense, Recurrent, Transformer

ENGLISH = ["a dog", "a cat runs", "no", "the red fox"] * 5
GERMAN = ["ein Hund läuft", "eine Katze", "nein, niemals, nie", "der rote Fuchs springt"] * 5
random = np.random.default_rng(0)
SHORT = [random.normal(size=n).cumsum() for n in (9, 12, 17, 9, 14) * 4]
LONG = [np.repeat(wave, 2) for wave in SHORT]


def fit(X, target, n_components=8, **settings):
    return Autoencoder(n_components, **{"max_epochs": 2, "random_state": 0} | settings).fit(X, target=target)


def test_sentences_are_learnt_as_longer_ones_of_another_language(tmp_path):
    model = fit(ENGLISH, GERMAN, max_epochs=120)
    assert model.network_.architecture.__class__ is Recurrent and model.target_schema_.shape != model.schema_.shape
    assert model.reconstruct(ENGLISH[:4]) == GERMAN[:4] == model.inverse_transform(model.transform(ENGLISH[:4]))
    model.save(tmp_path / "m")
    assert load(tmp_path / "m").reconstruct(ENGLISH[1:3]) == GERMAN[1:3]
    shorter = fit(GERMAN, ENGLISH)
    assert shorter.score_samples(GERMAN, ENGLISH).shape == (20,)


@pytest.mark.parametrize("architecture", [Recurrent(16), Transformer(width=16), Dense((32,))], ids=repr)
def test_other_networks_write_sentences_of_another_length_too(architecture):
    written = fit(ENGLISH, GERMAN, architecture=architecture).reconstruct(ENGLISH)
    assert len(written) == 20 and all(isinstance(text, str) for text in written)


@pytest.mark.parametrize("architecture", ["recurrent", "transformer"])
def test_sequences_are_learnt_as_sequences_of_other_lengths(architecture):
    model = fit(SHORT, LONG, architecture=architecture)
    assert len(model.reconstruct(SHORT)) == 20 and np.isfinite(model.score_samples(SHORT, LONG)).all()
    even = fit(random.normal(size=(20, 12, 2)), random.normal(size=(20, 5, 3)), kind="sequences", architecture=architecture)
    assert even.reconstruct(random.normal(size=(3, 12, 2))).shape == (3, 5, 3)


def test_pictures_are_learnt_as_larger_ones_and_sentences_as_numbers():
    large = random.integers(0, 255, (20, 12, 10), np.uint8)
    assert fit(large[:, ::2, ::2], large, 4).reconstruct(large[:, ::2, ::2]).shape == (20, 12, 10)
    assert fit(ENGLISH, random.normal(size=(20, 3))).reconstruct(ENGLISH[:2]).shape == (2, 3)


def test_layers_that_keep_the_length_say_what_helps():
    with pytest.raises(ValueError, match=r"22 steps and the source 11, but Local keeps them.*Text\(longest=...\).*Recurrent"):
        fit(ENGLISH, GERMAN, architecture="local")
    assert len(fit(ENGLISH, GERMAN, architecture="local", kind=Text(longest=24)).reconstruct(ENGLISH)) == 20
