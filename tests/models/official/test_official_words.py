"""The official vocabulary: word vectors and their index."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from official_readers import Evil, pristine, refusal, tree
from official_tree import (
    GLOVE,
    WORDS,
    write_glove,
)

from hmu_tasks.models.evaluators.words import load_words
from hmu_tasks.models.official.glove import read_glove
from hmu_tasks.runtime.files import write_json

__all__ = ["pristine", "tree"]


def test_the_vocabulary_follows_the_index(tmp_path: Path) -> None:
    expected = write_glove(tmp_path / "glove")
    words, vectors = read_glove(tmp_path / "glove")
    assert words == WORDS
    np.testing.assert_array_equal(vectors, expected)


@pytest.mark.parametrize("file", ["our_vab_data.npy", "our_vab_words.pkl", "our_vab_idx.pkl"])
def test_a_damaged_vocabulary(tree: Path, file: str, tmp_path: Path) -> None:
    path = tree / GLOVE / file
    whole = path.read_bytes()
    for content in (b"", b"\x80", whole[: len(whole) // 2], b"<html>"):
        path.write_bytes(content)
        assert str(path) in refusal(lambda: read_glove(tree / GLOVE))
    path.write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    message = refusal(lambda: read_glove(tree / GLOVE))
    assert not (tmp_path / "ran").exists()
    if path.suffix == ".pkl":
        assert "refers to the code posix.mkdir, which was not run" in message
    path.unlink()
    assert f"{path} is missing" in refusal(lambda: read_glove(tree / GLOVE))


@pytest.mark.parametrize(
    ("file", "value", "expected"),
    [
        ("our_vab_words.pkl", {"a": 1}, "must hold a list of words"),
        ("our_vab_words.pkl", [1, 2], "must hold a list of words"),
        ("our_vab_words.pkl", [*WORDS, "kick"], "has a word twice"),
        ("our_vab_idx.pkl", ["a"], "must map words to row numbers"),
        ("our_vab_idx.pkl", {"sos": "0"}, "must map words to row numbers"),
        ("our_vab_idx.pkl", dict.fromkeys(WORDS, 99), "gives no row"),
        ("our_vab_idx.pkl", dict.fromkeys(WORDS, -1), "gives no row"),
        (
            "our_vab_idx.pkl",
            {"sos": 0},
            "gives no row of our_vab_data.npy (13 rows) for 12 words, such as 'eos'",
        ),
    ],
)
def test_a_vocabulary_that_does_not_fit(tree: Path, file: str, value: object, expected: str) -> None:
    (tree / GLOVE / file).write_bytes(pickle.dumps(value))
    message = refusal(lambda: read_glove(tree / GLOVE))
    assert str(tree / GLOVE / file) in message
    assert expected in message


def test_a_vocabulary_without_the_words_that_every_caption_has(tmp_path: Path) -> None:
    write_glove(tmp_path, ["sos", "a", "kick"])
    assert "lacks eos, unk" in refusal(lambda: read_glove(tmp_path))
    np.save(tmp_path / "our_vab_data.npy", np.zeros(3))
    assert "must hold rows of numbers" in refusal(lambda: read_glove(tmp_path))


def test_an_unknown_vocabulary_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"words": "fasttext", "word_width": 6})
    assert "unknown vocabulary 'fasttext'" in refusal(lambda: load_words(tmp_path))
    write_json(tmp_path / "config.json", {"words": "hashed"})
    assert "lacks 'word_width'" in refusal(lambda: load_words(tmp_path))
