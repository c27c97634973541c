from pathlib import Path

import pytest
import torch
from torch import nn

from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.networks import weights
from hmu_tasks.runtime.errors import WeightsError

STATE = {"b": torch.arange(6.0).reshape(2, 3).T, "a": torch.tensor([1, 2]), "scalar": torch.tensor(3.5)}


class WithClip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.own = nn.Linear(2, 3)
        self.clip_model = nn.Linear(4, 4)


def test_saved_tensors_come_back_and_bytes_depend_on_content_only(tmp_path: Path) -> None:
    weights.save(STATE, {"codes": 8}, tmp_path / "one")
    weights.save(dict(reversed(STATE.items())), {"codes": 8}, tmp_path / "two")
    loaded = weights.load_state(tmp_path / "one")
    assert loaded.keys() == STATE.keys()
    for name, tensor in STATE.items():
        assert torch.equal(loaded[name], tensor)
        assert loaded[name].dtype == tensor.dtype
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == ["config.json", "model.safetensors"]


def test_a_network_comes_back_exactly(tmp_path: Path) -> None:
    sizes = MaskTransformerConfig(
        codes=8, code_width=4, latent=8, layers=1, heads=2, feedforward=8, text_width=4, positions=16
    )
    network, other = MaskTransformer(sizes), MaskTransformer(sizes, seed=1)
    weights.save(network.state_dict(), {}, tmp_path)
    weights.load_strict(other, weights.load_state(tmp_path))
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


@pytest.mark.parametrize("damage", ["missing", "truncated", "garbage", "empty"])
def test_damaged_files_are_named(tmp_path: Path, damage: str) -> None:
    weights.save(STATE, {}, tmp_path)
    path = tmp_path / "model.safetensors"
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"truncated": content[:-8], "garbage": b"<html>" * 50, "empty": b""}[damage])
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        weights.load_state(tmp_path)


def test_all_faults_are_listed_and_nothing_is_changed() -> None:
    network = WithClip()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = {
        "own.weight": torch.zeros(3, 5),
        "own.extra": torch.zeros(1),
        "clip_model.weight": torch.zeros(4, 4),
    }
    with pytest.raises(WeightsError) as caught:
        weights.load_strict(network, state)
    message = str(caught.value)
    assert "missing: own.bias" in message
    assert "surplus: own.extra" in message
    assert "misshaped: own.weight (3, 5) instead of (3, 2)" in message
    for name, tensor in network.state_dict().items():
        assert torch.equal(before[name], tensor)


def test_only_the_allowed_prefix_may_be_missing() -> None:
    network = WithClip()
    state = {name: torch.ones_like(t) for name, t in network.state_dict().items() if name.startswith("own.")}
    weights.load_strict(network, state)
    assert bool((network.own.weight == 1).all())
    with pytest.raises(WeightsError, match=r"missing: clip_model\.weight"):
        weights.load_strict(network, state, allow_missing_prefix="")


def test_digests_follow_names_and_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "x").write_bytes(b"x")
        (tmp_path / name / "y").write_bytes(b"y")
    one, two = tmp_path / "one", tmp_path / "two"
    assert weights.digest(one) == weights.digest(two)
    assert weights.digest([one / "y"]) == weights.digest(two / "y")
    seen = {weights.digest(one), weights.digest(one / "y"), weights.digest([one, one / "y"])}
    (two / "y").write_bytes(b"z")
    seen.add(weights.digest(two))
    (two / "y").rename(two / "z")
    seen.add(weights.digest(two))
    assert len(seen) == 5
    with pytest.raises(WeightsError, match="does not exist"):
        weights.digest(tmp_path / "none")


def test_combined_digests_ignore_order_only() -> None:
    one = weights.combine({"a": "1", "b": "2"})
    assert one == weights.combine({"b": "2", "a": "1"})
    assert one != weights.combine({"a": "2", "b": "1"})
