"""Word vectors without a vocabulary, and captions as the evaluator's arrays."""

import numpy as np

from hmu_tasks.models.words import POS_CLASSES, HashedWords, embed_tokens


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
