"""A frozen sentence encoder: mean pooling and principal directions, each against a computation of its own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_minilm import PIECES, SIZES, sha256_of, write_minilm
from torch.nn import functional
from transformers import AutoModel, BertTokenizer

from hmu_tasks.models.text.minilm import (
    LENGTH,
    PrincipalDirections,
    SentenceEncoder,
    read_sentence_encoder,
)
from hmu_tasks.runtime.errors import WeightsError

TEXTS = ["a person kicks", "kick", "", "Ünïcödé KICKS, 走る", "walking " * 60, "x" * 300, "12 o'clock"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_minilm(tmp_path_factory.mktemp("minilm") / "model")


def encoder(folder: Path) -> SentenceEncoder:
    files = (folder / name for name in ("model.safetensors", "config.json", "vocab.txt"))
    return read_sentence_encoder(*files, sha256=sha256_of(folder), key="the digest")


def test_a_sentence_is_the_mean_of_its_pieces_states(folder: Path) -> None:
    """By transformers' own reader, one text at a time, so that nothing is padded."""
    model = AutoModel.from_pretrained(folder).eval()
    found = encoder(folder).vectors(TEXTS)
    assert found.shape == (len(TEXTS), 16)
    assert not found.requires_grad
    tokenizer = BertTokenizer(vocab=str(folder / "vocab.txt"))
    for text, vector in zip(TEXTS, found, strict=True):
        ids = tokenizer(text)["input_ids"]
        if len(ids) > SIZES["max_position_embeddings"]:  # cut, but for the piece that ends a text
            ids = [*ids[: SIZES["max_position_embeddings"] - 1], PIECES.index("[SEP]")]
        assert (ids[0], ids[-1]) == (PIECES.index("[CLS]"), PIECES.index("[SEP]"))
        with torch.no_grad():
            states = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        expected = sum(states[i] for i in range(len(ids))) / len(ids)
        torch.testing.assert_close(vector, expected, rtol=1e-5, atol=1e-5)


def test_words_are_read_in_pieces_without_case(folder: Path) -> None:
    ids = encoder(folder).tokenizer("A Person KICKS")["input_ids"]
    assert [PIECES[i] for i in ids] == ["[CLS]", "a", "person", "kick", "##s", "[SEP]"]


def test_more_texts_than_one_batch(folder: Path) -> None:
    own = encoder(folder)
    many = own.vectors(["kick", "a person"] * 40)
    torch.testing.assert_close(many[:2], many[78:], rtol=0, atol=1e-5)
    assert torch.equal(many, own.vectors(["kick", "a person"] * 40))


def test_reading_leaves_the_global_random_numbers_alone(folder: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    encoder(folder)
    assert torch.equal(torch.rand(1), expected)


def test_principal_directions_whiten_and_scale() -> None:
    random = np.random.default_rng(0)
    values = (
        random.standard_normal((500, 8))
        * [9, 5, 3, 2, 1, 0.5, 0.2, 0.1]
        @ np.linalg.qr(random.standard_normal((8, 8)))[0]
    )
    vectors = torch.from_numpy(values + 4).float()
    found = PrincipalDirections.of(vectors, 3)
    _, singular, right = np.linalg.svd(values - values.mean(0), full_matrices=False)
    cosines = np.abs((found.directions.numpy() * right[:3]).sum(axis=1))
    np.testing.assert_allclose(cosines, 1.0, atol=1e-5)
    np.testing.assert_allclose(found.scale.numpy(), np.sqrt(500) / singular[:3], rtol=1e-4)
    assert bool((found.directions.gather(1, found.directions.abs().argmax(1, keepdim=True)) > 0).all())
    white = (vectors - found.mean) @ found.directions.T * found.scale
    torch.testing.assert_close(white.T @ white / 500, torch.eye(3), rtol=0, atol=1e-3)
    given = found(vectors)
    torch.testing.assert_close(given.norm(dim=1), torch.full((500,), LENGTH))
    torch.testing.assert_close(functional.cosine_similarity(given, white, dim=1), torch.ones(500))


def test_more_directions_than_there_are() -> None:
    vectors = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    assert PrincipalDirections.of(vectors, 4).scale.isfinite().all()
    with pytest.raises(ValueError, match="5 sentence vectors span 4 directions, fewer than 5"):
        PrincipalDirections.of(vectors, 5)
    with pytest.raises(ValueError, match="span 0 directions"):
        PrincipalDirections.of(vectors[:1].repeat(9, 1), 1)


def test_statistics_are_stored(tmp_path: Path) -> None:
    vectors = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    found = PrincipalDirections.of(vectors, 4)
    found.save(tmp_path)
    first = (tmp_path / "principal.safetensors").read_bytes()
    again = PrincipalDirections.load(tmp_path, 8)
    assert torch.equal(again(vectors), found(vectors))
    again.save(tmp_path)
    assert (tmp_path / "principal.safetensors").read_bytes() == first
    with pytest.raises(WeightsError, match=r"principal\.safetensors must hold mean \[16\]"):
        PrincipalDirections.load(tmp_path, 16)
    (tmp_path / "principal.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"principal\.safetensors cannot be read"):
        PrincipalDirections.load(tmp_path, 8)
