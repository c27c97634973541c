"""CLIP from OpenAI's own files: the same vectors as transformers' layout, and no code of the archive is run."""

import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_clip import write_clip
from torch import Tensor, nn

from hmu_tasks.models.official.clip import import_clip, text_tower
from hmu_tasks.models.official.torchscript import is_torchscript, read_parameters
from hmu_tasks.models.text.encoders import ClipTextEncoder
from hmu_tasks.runtime.errors import WeightsError

TEXTS = ["a man kick", "kick", "", "KICK a man, walk."]
IN_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


class Tower(nn.Module):
    """A module whose state dict has given names, so that it can be saved as an archive."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in state.items():
            *path, last = name.split(".")
            inner: nn.Module = self
            for part in path:
                if not hasattr(inner, part):
                    inner.add_module(part, nn.Module())
                inner = getattr(inner, part)
            inner.register_parameter(last, nn.Parameter(tensor, requires_grad=False))

    def forward(self, x: Tensor) -> Tensor:
        return x + 1


def as_published(folder: Path) -> dict[str, Tensor]:
    """Names and shapes of OpenAI's release for a folder in transformers' layout, with a stump of the image tower."""
    own = ClipTextEncoder(folder).model.state_dict()
    out = {"visual.conv1.weight": torch.zeros(2, 2), "logit_scale": torch.ones(())}
    for key, tensor in own.items():
        if key == "text_projection.weight":
            out["text_projection"] = tensor.T.contiguous()
        elif key.endswith("token_embedding.weight"):
            out["token_embedding.weight"] = tensor
        elif key.endswith("position_embedding.weight"):
            out["positional_embedding"] = tensor
        elif "final_layer_norm" in key:
            out["ln_final." + key.rpartition(".")[2]] = tensor
        elif ".layers." in key:
            _, _, rest = key.partition(".layers.")
            layer, _, name = rest.partition(".")
            place, _, kind = name.rpartition(".")
            if place in IN_LAYER:
                out[f"transformer.resblocks.{layer}.{IN_LAYER[place]}.{kind}"] = tensor
    for kind in ("weight", "bias"):
        base = "text_model.encoder.layers.0.self_attn"
        parts = [own[f"{base}.{name}_proj.{kind}"] for name in "qkv"]
        out[f"transformer.resblocks.0.attn.in_proj_{kind}"] = torch.cat(parts)
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP with one attention head, since OpenAI's files leave the number to the width."""
    return write_clip(tmp_path_factory.mktemp("clip") / "transformers", heads=1)


@pytest.fixture
def openai(folder: Path, tmp_path: Path) -> Path:
    target = tmp_path / "openai"
    target.mkdir()
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(folder / name, target)
    return target


def save_archive(state: dict[str, Tensor], path: Path) -> None:
    with torch.random.fork_rng():
        traced = torch.jit.trace(Tower(state), torch.zeros(1))
    traced.save(str(path))


pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


@pytest.mark.parametrize("kind", ["archive", "half archive", "state dict"])
def test_openai_files_give_the_vectors_of_transformers(
    folder: Path, openai: Path, kind: str, tmp_path: Path
) -> None:
    state = as_published(folder)
    if kind == "state dict":
        torch.save(state, openai / "state.pt")
    else:
        save_archive(
            {k: v.half() for k, v in state.items()} if "half" in kind else state, openai / "ViT-B-32.pt"
        )
    read = import_clip(openai, tmp_path / "out")
    assert read.suffix == ".pt"
    found, expected = ClipTextEncoder(tmp_path / "out").encode(TEXTS), ClipTextEncoder(folder).encode(TEXTS)
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-3 if "half" in kind else 1e-6)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["config.json", "merges.txt", "model.safetensors", "vocab.json"]


def test_a_folder_in_transformers_layout_is_linked(folder: Path, tmp_path: Path) -> None:
    assert import_clip(folder, tmp_path / "out") == folder / "model.safetensors"
    found, expected = ClipTextEncoder(tmp_path / "out").encode(TEXTS), ClipTextEncoder(folder).encode(TEXTS)
    assert torch.equal(torch.stack(found), torch.stack(expected))


def test_an_archive_is_told_from_a_state_dict(folder: Path, tmp_path: Path) -> None:
    state = as_published(folder)
    torch.save(state, tmp_path / "state.pt")
    save_archive(state, tmp_path / "archive.pt")
    assert is_torchscript(tmp_path / "archive.pt")
    assert not is_torchscript(tmp_path / "state.pt")
    assert not is_torchscript(tmp_path / "none.pt")
    found = read_parameters(tmp_path / "archive.pt")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("content", ["code", "truncated", "storage", "loop"])
def test_an_archive_that_asks_for_more_than_tensors(
    folder: Path, openai: Path, content: str, tmp_path: Path
) -> None:
    good = tmp_path / "good.pt"
    save_archive(as_published(folder), good)
    bad = openai / "ViT-B-32.pt"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("/data.pkl") and content == "code":
                data = pickle.dumps(Evil(tmp_path / "ran"), protocol=2)
            elif name.endswith("/data.pkl") and content == "truncated":
                data = data[: len(data) // 2]
            elif name.endswith("/data.pkl") and content == "loop":
                data = b"\x80\x02c__torch__\nModule\nq\x00)\x81q\x01}q\x02X\x01\x00\x00\x00aq\x03h\x01sb."
            elif "/data/" in name and content == "storage":
                data = data[:1]
            target.writestr(name, data)
    with pytest.raises(WeightsError, match="cannot be read without running its code") as caught:
        import_clip(openai, tmp_path / "out")
    assert str(bad) in str(caught.value)
    assert "torch.jit.load" in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_what_is_not_clip(folder: Path, openai: Path, tmp_path: Path) -> None:
    def told(state: dict[str, Any]) -> str:
        torch.save(state, openai / "state.pt")
        with pytest.raises(WeightsError) as caught:
            import_clip(openai, tmp_path / "out")
        assert str(openai / "state.pt") in str(caught.value)
        return str(caught.value)

    state = as_published(folder)
    assert "lacks the tensors that become" in told(
        {k: v for k, v in state.items() if k != "token_embedding.weight"}
    )
    assert "it has resnet.weight" in told({**state, "resnet.weight": torch.zeros(1)})
    assert "missing: text_model.final_layer_norm.bias" in told(
        {k: v for k, v in state.items() if k != "ln_final.bias"}
    )
    assert "epoch are not tensors" in told({**state, "epoch": 3})
    assert "refers to the code" in told({"model": Evil(tmp_path / "ran")})
    assert not (tmp_path / "ran").exists()
    (openai / "second.pt").write_bytes(b"")
    assert "found 2" in told_any(openai, tmp_path)
    (openai / "second.pt").unlink()
    (openai / "merges.txt").unlink()
    assert "lacks merges.txt of CLIP's tokenizer" in told_any(openai, tmp_path)


def told_any(openai: Path, tmp_path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        import_clip(openai, tmp_path / "out")
    return str(caught.value)


def test_only_the_text_tower_is_taken(folder: Path) -> None:
    names = text_tower(as_published(folder), Path("x"))
    assert names.keys() == ClipTextEncoder(folder).model.state_dict().keys()
