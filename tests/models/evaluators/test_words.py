"""Word vectors without a vocabulary, and captions as the evaluator's arrays."""

from pathlib import Path

import numpy as np
import pytest

from hmu_tasks.models.evaluators.words import (
    IMPORTANT_WORDS,
    POS_CLASSES,
    GloveWords,
    HashedWords,
    embed_tokens,
    load_glove,
)
from hmu_tasks.runtime.errors import WeightsError


def test_every_word_has_its_own_fixed_vector() -> None:
    one, two = HashedWords(300), HashedWords(300)
    for word in ("kick", "🤸", "", "走る", "unk"):
        np.testing.assert_array_equal(one(word), two(word))
        assert one(word).shape == (300,)
        assert one(word).dtype == np.float32
    assert abs(np.corrcoef(one("kick"), one("punch"))[0, 1]) < 0.25


def test_captions_become_framed_padded_arrays() -> None:
    words = HashedWords(5)
    captions = [["a/DET", "man/NOUN", "kick/VERB"], [], ["jump/Act_VIP", "9/NUM", "on/XYZ", "a/b/ADP"]]
    vectors, classes, lengths = embed_tokens(captions, words, max_words=20)
    assert vectors.shape == (3, 6, 5)
    assert classes.shape == (3, 6, len(POS_CLASSES))
    assert lengths.tolist() == [5, 2, 6]
    np.testing.assert_array_equal(vectors[0, 1:4], [words("a"), words("man"), words("kick")])
    np.testing.assert_array_equal(vectors[1, :2], [words("sos"), words("eos")])
    np.testing.assert_array_equal(vectors[2, 4], words("a/b"))
    for row, length in enumerate(lengths):
        assert (classes[row, :length].sum(-1) == 1).all()
        assert not classes[row, length:].any()
        assert not vectors[row, length:].any()
    kinds = [POS_CLASSES[i] for i in classes[2].argmax(-1)]
    assert kinds == ["OTHER", "Act_VIP", "NUM", "OTHER", "ADP", "OTHER"]


def test_long_captions_are_cut_and_still_end() -> None:
    words = HashedWords(4)
    vectors, _, lengths = embed_tokens([["walk/VERB"] * 50], words, max_words=7)
    assert lengths.tolist() == [9]
    np.testing.assert_array_equal(vectors[0, -1], words("eos"))


def test_a_masked_word_reads_as_unknown() -> None:
    words = HashedWords(4)
    masked = embed_tokens([["a/DET", "***/VERB"]], words, max_words=5)
    unknown = embed_tokens([["a/DET", "unk/OTHER"]], words, max_words=5)
    for one, other in zip(masked, unknown, strict=True):
        np.testing.assert_array_equal(one, other)


def glove() -> GloveWords:
    words = ["sos", "eos", "unk", "kick", "left", "man"]
    return GloveWords(words, np.arange(12, dtype=np.float32).reshape(6, 2))


def test_glove_words_read_as_published() -> None:
    words = glove()
    assert words.look_up("kick", "NOUN")[1] == "Act_VIP"
    assert words.look_up("left", "ADJ")[1] == "Loc_VIP"
    assert words.look_up("man", "NOUN")[1] == "NOUN"
    vector, tag = words.look_up("walk", "VERB")  # important, but no word of the vocabulary
    np.testing.assert_array_equal(vector, [4, 5])
    assert tag == "OTHER"
    vectors, classes, _ = embed_tokens([["***/VERB", "man/NOUN"]], words, max_words=5)
    np.testing.assert_array_equal(vectors[0], [[0, 1], [4, 5], [10, 11], [2, 3]])
    assert [POS_CLASSES[i] for i in classes[0].argmax(-1)] == ["OTHER", "OTHER", "NOUN", "OTHER"]


def test_a_stored_vocabulary_comes_back_and_a_damaged_one_does_not(tmp_path: Path) -> None:
    words = glove()
    words.save(tmp_path)
    again = load_glove(tmp_path)
    assert again.words == words.words
    np.testing.assert_array_equal(again.vectors, words.vectors)
    (tmp_path / "words.json").write_text('["unk"]')
    with pytest.raises(WeightsError, match="does not fit"):
        load_glove(tmp_path)
    for name in ("words.json", "words.safetensors"):
        (tmp_path / name).write_bytes(b"{")
        with pytest.raises(WeightsError, match="cannot be read"):
            load_glove(tmp_path)


def test_every_important_word_has_one_class_of_the_evaluator() -> None:
    assert set(IMPORTANT_WORDS) < set(POS_CLASSES)
    listed = [word for words in IMPORTANT_WORDS.values() for word in words.split()]
    assert len(listed) == len(set(listed)) == 81
