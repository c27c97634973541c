"""A sentence encoder's folder: what is put into a component, and what is refused before anything is trained."""

import json
import re
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_minilm import PIECES, sha256_of, write_minilm

from hmu_tasks.config.params import load
from hmu_tasks.models.official import minilm
from hmu_tasks.models.official.minilm import PUBLISHED, import_minilm
from hmu_tasks.runtime.errors import WeightsError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_minilm(tmp_path / "model")


def refusal(folder: Path, sha256: str | None = None) -> str:
    target = folder.parent / "component"
    with pytest.raises(WeightsError) as caught:
        import_minilm(folder, sha256 or sha256_of(folder), target)
    assert not target.exists()
    return str(caught.value)


def test_files_are_taken_unchanged_with_their_licence(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "component"
    encoder = import_minilm(folder, sha256_of(folder), target)
    assert encoder.vectors(["kick"]).shape == (1, 16)
    assert {path.name for path in target.iterdir()} == {
        "minilm.safetensors",
        "minilm.json",
        "minilm-vocab.txt",
        "minilm-licence.txt",
    }
    for name, stored in minilm.NAMES.items():
        assert (target / stored).read_bytes() == (folder / name).read_bytes()
    assert (target / "minilm-licence.txt").read_text() == (folder / "LICENSE").read_text()


def test_the_published_model_comes_with_its_licence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published digest is that of params.yaml; the tiny model stands in for the file that has it."""
    assert load(ROOT / "params.yaml").train.text.minilm_sha256 == PUBLISHED
    monkeypatch.setattr(minilm, "PUBLISHED", sha256_of(folder))
    (folder / "LICENSE").unlink()
    import_minilm(folder, sha256_of(folder), tmp_path / "component")
    said = (tmp_path / "component" / "minilm-licence.txt").read_text()
    assert "sentence-transformers/all-MiniLM-L6-v2" in said
    text = (files("hmu_tasks.models.official") / "apache-2.0.txt").read_text()
    assert "Version 2.0, January 2004" in text
    assert said.endswith(text)


def test_other_weights_are_refused(folder: Path) -> None:
    found = sha256_of(folder)
    said = refusal(folder, PUBLISHED)
    assert f"{folder / 'model.safetensors'} has the SHA-256 {found}, not {PUBLISHED}" in said
    assert "as train.text.minilm_sha256 says" in said
    before = sha256_of(folder)
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    assert "damaged or another model" in refusal(folder, before)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocab.txt"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    sha256 = sha256_of(folder)
    (folder / name).unlink()
    said = refusal(folder, sha256)
    assert f"{folder} lacks {name};" in said
    assert "train.text.minilm_folder" in said
    assert "set train.text.encoder to 'small'" in said


def test_a_missing_folder_or_licence_is_named(folder: Path) -> None:
    (folder / "LICENSE").unlink()
    assert f"{folder / 'LICENSE'} is missing" in refusal(folder)
    shutil.rmtree(folder)
    assert f"{folder} lacks model.safetensors and config.json and vocab.txt" in refusal(folder, PUBLISHED)


def test_a_licence_in_another_encoding_is_named(folder: Path) -> None:
    (folder / "LICENSE").write_bytes("© André".encode("latin-1"))
    assert f"{folder / 'LICENSE'} is not UTF-8 text" in refusal(folder)


def test_pickled_weights_are_not_read(folder: Path) -> None:
    sha256 = sha256_of(folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert "lacks model.safetensors; pytorch_model.bin is a pickle, which is not read" in refusal(
        folder, sha256
    )
    shutil.copy(folder / "pytorch_model.bin", folder / "model.safetensors")  # under the other name
    said = refusal(folder)
    assert re.search(r"model\.safetensors is truncated or not a safetensors file", said)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"hidden_size": 32}, "does not fit"),
        ({"num_hidden_layers": 3}, "missing: encoder.layer.2"),
        ({"num_hidden_layers": 1}, "surplus: encoder.layer.1"),
        ({"num_attention_heads": 3}, "does not fit"),
        ({"vocab_size": "many"}, "vocab_size is 'many'"),
        ({"vocab_size": len(PIECES) - 1}, f"has {len(PIECES)} pieces, but"),
        ({"hidden_size": 10**9}, f"hidden_size is {10**9}, but no tensor beside it is larger"),
        ({"num_hidden_layers": 60}, "60 layers of width 16 hold more"),
        ({"num_hidden_layers": True}, "num_hidden_layers is 'True'"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"model_type": "roberta"}, "model_type is 'roberta'"),
        ({"layer_norm_eps": 0.0}, "layer_norm_eps is '0.0'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"hidden_size": None}, "lacks hidden_size"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(folder: Path, change: dict[str, Any], expected: str) -> None:
    path = folder / "config.json"
    values = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))
    said = refusal(folder)
    assert expected in said
    assert str(path) in said


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: text.replace("[SEP]\n", "sep\n"), r"it lacks \[SEP\]"),
        (lambda text: text.replace("person\n", "kick\n"), "has a piece twice"),
        (lambda text: "", r"it lacks \[PAD\]"),
        (lambda text: text + "more\n", "pieces, but"),
    ],
)
def test_vocabularies_that_are_none_are_refused(
    folder: Path, change: Callable[[str], str], expected: str
) -> None:
    path = folder / "vocab.txt"
    path.write_text(change(path.read_text()))
    assert re.search(rf"{re.escape(str(path))}.*{expected}", refusal(folder))


def test_incomplete_weights_are_refused(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    del state["encoder.layer.1.output.dense.bias"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    assert "missing: encoder.layer.1.output.dense.bias" in refusal(folder)
