"""Text encoders: the small one needs no vocabulary, CLIP's equals transformers' own."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_clip import write_clip
from torch import Tensor
from torch.nn import functional
from transformers import CLIPModel, CLIPTextModelWithProjection, CLIPTokenizer

from hmu_tasks.models.text.embeddings import padded
from hmu_tasks.models.text.encoders import (
    ClipTextEncoder,
    SmallTextConfig,
    SmallTextEncoder,
    TextEncoder,
    word_pieces,
)
from hmu_tasks.runtime.errors import WeightsError

TEXTS = [
    "a man kicks the bag",
    "",
    "🤸🤸",
    "Ünïcödé ßtraße 走る",
    "kick",
    "x" * 300,
    "a person walks " * 40,
    "12 o'clock",
]


def small(seed: int = 0) -> SmallTextEncoder:
    return SmallTextEncoder(SmallTextConfig(width=16, word_width=16, buckets=512), seed=seed).eval()


def sentences(encoder: TextEncoder, texts: Sequence[str]) -> Tensor:
    return padded(encoder.encode(texts))[:, 0]


def test_states_of_words_stand_beside_the_sentence_vector() -> None:
    """Of the first words only; the sentence vector is the same with and without them."""
    encoder = SmallTextEncoder(SmallTextConfig(width=16, words=3, word_width=16, buckets=512)).eval()
    texts = ["kick", "a man kicks", "a man kicks the other one", ""]
    found = encoder.encode(texts)
    assert [len(rows) for rows in found] == [2, 4, 4, 2]
    assert torch.equal(padded(found)[:, 0], sentences(small(), texts))
    assert all(bool(rows.any(-1).all()) for rows in found)
    for text, rows in zip(texts, found, strict=True):
        torch.testing.assert_close(encoder.encode([text])[0], rows, rtol=0, atol=1e-5)
    assert not torch.allclose(
        found[1][1], encoder.encode(["a woman waves"])[0][1], atol=1e-3
    )  # read both ways


def test_small_encoder_takes_any_text_alone_or_in_a_batch() -> None:
    encoder = small()
    together = sentences(encoder, TEXTS)
    assert together.shape == (len(TEXTS), 16)
    assert together.isfinite().all()
    for text, row in zip(TEXTS, together, strict=True):
        torch.testing.assert_close(encoder.encode([text])[0][0], row, rtol=0, atol=1e-5)
    torch.testing.assert_close(sentences(encoder, TEXTS[::-1]), together.flip(0), rtol=0, atol=1e-5)


def test_small_encoder_is_deterministic_and_seeded() -> None:
    assert torch.equal(sentences(small(), TEXTS), sentences(small(), TEXTS))
    assert not torch.equal(sentences(small(), TEXTS), sentences(small(1), TEXTS))
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    small()
    assert torch.equal(torch.rand(1), expected)


def test_case_and_punctuation_do_not_matter_and_order_does() -> None:
    encoder = small()
    plain, loud, swapped = encoder.encode(["he kicks her", "He  KICKS, her!", "her kicks he"])
    torch.testing.assert_close(plain, loud)
    assert not torch.allclose(plain, swapped, atol=1e-3)


def test_words_beyond_the_longest_caption_are_not_read() -> None:
    encoder = small()
    longest = encoder.config.max_words
    cut, whole = encoder.encode(["walk " * longest, "walk " * longest + "kick"])
    torch.testing.assert_close(cut, whole)


@pytest.mark.parametrize(
    ("word", "misspelt", "other"), [("kicking", "kiking", "strolls"), ("punches", "puncches", "waves")]
)
def test_a_misspelt_word_is_nearer_than_another_word(word: str, misspelt: str, other: str) -> None:
    for seed in range(3):
        own, near, far = sentences(small(seed), [f"a man is {w} there" for w in (word, misspelt, other)])
        assert functional.cosine_similarity(own, near, dim=0) > functional.cosine_similarity(own, far, dim=0)


def test_word_pieces_stay_within_the_buckets_and_leave_padding_free() -> None:
    for word in ("a", "kick", "internationalisation"):
        pieces = word_pieces(word, 50)
        assert min(pieces) >= 1
        assert max(pieces) < 50
    assert len(word_pieces("kick", 50)) == 1 + 4 + 3 + 2


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "model")


SENTENCES = ["a man kick", "kick", "", "KICK a man, walk.", "🤸"]


def test_clip_equals_transformers(clip: Path) -> None:
    encoder = ClipTextEncoder(clip)
    assert encoder.width == 12
    tokens = CLIPTokenizer.from_pretrained(clip)(SENTENCES, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = CLIPTextModelWithProjection.from_pretrained(clip).eval()(**tokens).text_embeds
    assert [len(rows) for rows in encoder.encode(SENTENCES)] == [1] * len(SENTENCES)  # no states of words
    found = sentences(encoder, SENTENCES)
    assert torch.equal(found, expected)
    assert not found.requires_grad
    for text, row in zip(SENTENCES, found, strict=True):
        torch.testing.assert_close(encoder.encode([text])[0][0], row, rtol=0, atol=1e-5)


def test_clip_reads_the_whole_model_of_both_towers(tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "both", vision=True)
    encoder = ClipTextEncoder(folder)
    tokens = CLIPTokenizer.from_pretrained(folder)(SENTENCES, padding=True, return_tensors="pt")
    model = CLIPModel.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = model.text_projection(model.text_model(**tokens).pooler_output)
    torch.testing.assert_close(sentences(encoder, SENTENCES), expected)


def test_clip_cuts_captions_that_are_too_long(clip: Path) -> None:
    encoder = ClipTextEncoder(clip)
    long = encoder.encode(["kick " * 100, "kick " * 18])
    torch.testing.assert_close(long[0], long[1])


def test_clip_takes_more_texts_than_one_batch(clip: Path) -> None:
    encoder = ClipTextEncoder(clip)
    many = sentences(encoder, ["kick", "a man"] * 40)
    assert many.shape == (80, 12)
    torch.testing.assert_close(many[:2], many[78:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["config.json", "vocab.json", "merges.txt", "model.safetensors"])
def test_clip_folder_with_a_missing_file(clip: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "clip"
    shutil.copytree(clip, folder)
    (folder / name).unlink()
    with pytest.raises(WeightsError, match=str(folder)):
        ClipTextEncoder(folder)
    with pytest.raises(WeightsError, match=r"config\.json is missing"):
        ClipTextEncoder(tmp_path / "nowhere")


def test_clip_weights_as_pickle_only_are_refused(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    shutil.copytree(clip, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        ClipTextEncoder(folder)


def test_clip_weights_that_are_damaged_or_incomplete_are_refused(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    shutil.copytree(clip, folder)
    state = load_file(folder / "model.safetensors")
    del state["text_projection.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"lack text_projection\.weight"):
        ClipTextEncoder(folder)
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="cannot be read"):
        ClipTextEncoder(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": "x"},
        {"hidden_size": -8},
        {"num_hidden_layers": 1.5},
        {"num_attention_heads": 3},
        {"hidden_act": "nope"},
        {"vocab_size": [3]},
    ],
)
def test_clip_sizes_of_another_kind_are_refused(
    clip: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    folder = tmp_path / "clip"
    shutil.copytree(clip, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(WeightsError, match=f"CLIP folder {folder} cannot be read"):
        ClipTextEncoder(folder)


def test_the_tiny_clip_is_what_it_says(clip: Path) -> None:
    config = json.loads((clip / "config.json").read_text())
    assert config["projection_dim"] == 12
    assert "encoder" not in config  # this is how a stored CLIP folder is told from the small encoder
