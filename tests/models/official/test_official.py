"""Official checkpoints: what is read, and every fault of a checkpoint by its name."""

import pickle
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from official_readers import READERS, Evil, change, pristine, refusal, tree
from official_tree import (
    BAMM,
    LENGTH,
    MASK,
    RESIDUAL,
    RVQ,
    length_estimator,
)
from torch import Tensor

from hmu_tasks.models.generators.length import load_length, save_length
from hmu_tasks.models.official import networks
from hmu_tasks.models.official.archive import read_checkpoint
from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.files import write_json

__all__ = ["pristine", "tree"]


@pytest.mark.parametrize("name", READERS)
def test_a_folder_is_read_whole(pristine: Path, name: str) -> None:
    read, made, file, _ = READERS[name]
    official = read(pristine)
    network = made()
    expected = network.state_dict()
    assert official.state.keys() == expected.keys()
    for key, tensor in official.state.items():
        assert torch.equal(tensor, expected[key]), key
    sizes = {k: v for k, v in official.config.items() if k not in ("max_words", "words")}
    if name not in (MASK, RESIDUAL, BAMM):
        assert type(network.config)(**sizes) == network.config
    assert official.files[0] == pristine / name / "model" / file


def test_another_checkpoint_of_the_folder_is_named_by_its_file(tree: Path) -> None:
    (tree / RVQ / "model/net_best_fid.tar").rename(tree / RVQ / "model/latest.tar")
    message = refusal(lambda: networks.read_tokenizer(tree / RVQ))
    assert "net_best_fid.tar is missing; there are latest.tar: name one of them in params.yaml" in message
    official = networks.read_tokenizer(tree / RVQ / "model/latest.tar")
    assert official.names == ("rvq_tiny",)
    assert "docs/checkpoints.md" in refusal(lambda: networks.read_tokenizer(tree / RVQ / "model/other.tar"))
    assert "docs/checkpoints.md" in refusal(lambda: networks.read_tokenizer(tree / "t2m/none"))


def test_a_renamed_folder_is_known_by_the_name_in_opt_txt(tree: Path) -> None:
    (tree / RVQ).rename(tree / "t2m/rvq")
    assert networks.read_tokenizer(tree / "t2m/rvq").names == ("rvq", "rvq_tiny")


@pytest.mark.parametrize("name", READERS)
def test_missing_surplus_and_misshaped_tensors_are_listed(tree: Path, name: str) -> None:
    read, _, file, part = READERS[name]
    path = tree / name / "model" / file

    def edit(state: dict[str, Tensor]) -> None:
        keys = [k for k in state if k.endswith("bias")]
        del state[keys[-1]]
        state["clip_model.more"] = torch.zeros(1)
        state["other.weight"] = torch.zeros(2)
        state[keys[0]] = torch.zeros(1, 1)

    change(path, part, edit)
    message = refusal(lambda: read(tree))
    assert str(path) in message
    assert "missing: " in message
    assert "other.weight" in message.partition("surplus: ")[2]
    assert "(1, 1) instead of (" in message
    assert "clip_model" not in message


@pytest.mark.parametrize("name", READERS)
def test_the_checkpoint_of_another_network(tree: Path, name: str) -> None:
    read, _, file, part = READERS[name]
    path = tree / name / "model" / file
    content = torch.load(path, weights_only=True)
    content["something"] = content.pop(part)
    torch.save(content, path)
    message = refusal(lambda: read(tree))
    assert f"{path} has no " in message
    assert part in message
    assert "something" in message


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("how", ["within torch.save", "plain"])
def test_a_pickle_with_code_is_not_run(tree: Path, name: str, how: str, tmp_path: Path) -> None:
    read, _, file, part = READERS[name]
    path = tree / name / "model" / file
    content = {part: {"weight": torch.zeros(2)}, "opt": Evil(tmp_path / "ran")}
    if how == "plain":
        path.write_bytes(pickle.dumps({"a": Evil(tmp_path / "ran")}, protocol=2))
    else:
        torch.save(content, path)
    message = refusal(lambda: read(tree))
    assert not (tmp_path / "ran").exists()
    assert str(path) in message
    if how == "within torch.save":
        assert "refers to the code posix.mkdir, which was not run" in message


@pytest.mark.parametrize("share", [0, 3, 50, 90, 99])
def test_a_truncated_checkpoint(tree: Path, share: int) -> None:
    path = tree / MASK / "model/latest.tar"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * share // 100])
    message = refusal(lambda: READERS[MASK][0](tree))
    assert str(path) in message
    assert "get the file again" in message


def test_what_is_no_checkpoint_at_all(tmp_path: Path) -> None:
    path = tmp_path / "net.tar"
    path.write_text("<!DOCTYPE html><html>virus scan warning</html>")
    assert "a web page, not a checkpoint" in refusal(lambda: read_checkpoint(path))
    torch.save([1, 2], path)
    assert "holds a list" in refusal(lambda: read_checkpoint(path))
    assert "is missing" in refusal(lambda: read_checkpoint(tmp_path / "none.tar"))
    assert str(tmp_path) in refusal(lambda: read_checkpoint(tmp_path))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (torch.tensor([1, 2]), "which is not a floating-point tensor"),
        (3.0, "which is not a floating-point tensor"),
        (torch.full((16,), torch.nan), "not finite"),
    ],
)
def test_tensors_that_are_no_weights(tree: Path, value: object, expected: str) -> None:
    path = tree / MASK / "model/latest.tar"
    change(path, "t2m_transformer", lambda state: state.update({"cond_emb.bias": value}))  # type: ignore[dict-item]
    message = refusal(lambda: READERS[MASK][0](tree))
    assert expected in message
    assert "cond_emb.bias" in message


def test_half_precision_becomes_single(tree: Path) -> None:
    path = tree / LENGTH / "model/finest.tar"
    change(path, "estimator", lambda state: state.update({k: v.half() for k, v in state.items()}))
    assert {t.dtype for t in READERS[LENGTH][0](tree).state.values()} == {torch.float32}


def test_a_stored_length_estimator_comes_back_or_is_named(tmp_path: Path) -> None:
    cpu = torch.device("cpu")
    assert load_length(tmp_path, cpu) is None
    network = length_estimator()
    save_length(network.state_dict(), asdict(network.config), tmp_path)
    found = load_length(tmp_path, cpu)
    assert found is not None
    assert torch.equal(found(torch.ones(1, 12)), network(torch.ones(1, 12)))
    (tmp_path / "length.safetensors").write_bytes(b"x")
    assert "cannot be read" in refusal(lambda: load_length(tmp_path, cpu))
    write_json(tmp_path / "length.json", {"sizes": 3})
    assert str(tmp_path) in refusal(lambda: load_length(tmp_path, cpu))


@pytest.mark.parametrize(
    ("prefix", "told"),
    [("module.", "DataParallel"), ("_orig_mod.", "torch.compile"), ("module._orig_mod.", "torch.compile")],
)
def test_names_of_wrapped_networks_lose_their_prefix(tree: Path, prefix: str, told: str) -> None:
    file = tree / RVQ / "model/net_best_fid.tar"
    expected = networks.read_tokenizer(tree / RVQ).state
    content = torch.load(file, weights_only=False)
    content["net"] = {prefix + key: value for key, value in content["net"].items()}
    torch.save(content, file)
    with pytest.warns(UserWarning, match=r"was saved from .*the prefix .* is taken off") as caught:
        found = networks.read_tokenizer(tree / RVQ).state
    assert any(told in str(one.message) for one in caught)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    content["net"]["stray"] = content["net"].pop(
        next(iter(content["net"]))
    )  # then the prefix is part of the names
    torch.save(content, file)
    with pytest.raises(WeightsError):
        networks.read_tokenizer(tree / RVQ)
