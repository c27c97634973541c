"""Official folders: what is read, and what every kind of bad file is told."""

import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from official_tree import (
    BAMM,
    DESCRIBED,
    EVALUATOR,
    GLOVE,
    LENGTH,
    MASK,
    RESIDUAL,
    RVQ,
    TRANSFORMER_OPTIONS,
    WORDS,
    bamm,
    evaluator,
    length_estimator,
    mask_transformer,
    residual_transformer,
    tokenizer,
    write_glove,
    write_official,
    write_options,
)
from torch import Tensor

from hmu_tasks.models.evaluators.words import load_words
from hmu_tasks.models.generators.length import load_length, save_length
from hmu_tasks.models.official import networks
from hmu_tasks.models.official.archive import read_checkpoint
from hmu_tasks.models.official.glove import read_glove
from hmu_tasks.models.official.networks import Official, Upstream
from hmu_tasks.models.official.options import read_options
from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.files import write_json

UPSTREAM = Upstream(codes=24, code_width=8, quantizers=3, names=("rvq_tiny",), text_width=12)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_official(tmp_path_factory.mktemp("official"))


@pytest.fixture
def tree(pristine: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(pristine, tmp_path / "tree")


READERS: dict[str, tuple[Callable[[Path], Official], Callable[[], torch.nn.Module], str, str]] = {
    RVQ: (lambda root: networks.read_tokenizer(root / RVQ), tokenizer, "net_best_fid.tar", "net"),
    MASK: (
        lambda root: networks.read_mask_transformer(root / MASK, UPSTREAM),
        mask_transformer,
        "latest.tar",
        "t2m_transformer",
    ),
    RESIDUAL: (
        lambda root: networks.read_residual_transformer(root / RESIDUAL, UPSTREAM),
        residual_transformer,
        "net_best_fid.tar",
        "res_transformer",
    ),
    BAMM: (lambda root: networks.read_bamm(root / BAMM, UPSTREAM), bamm, "latest.tar", "trans"),
    LENGTH: (
        lambda root: networks.read_length_estimator(root / LENGTH),
        length_estimator,
        "finest.tar",
        "estimator",
    ),
    EVALUATOR: (
        lambda root: networks.read_evaluator(root / EVALUATOR, root / DESCRIBED),
        evaluator,
        "finest.tar",
        "movement_encoder",
    ),
}


def refusal(read: Callable[[], Any]) -> str:
    with pytest.raises(WeightsError) as caught:
        read()
    return str(caught.value)


def change(path: Path, part: str, edit: Callable[[dict[str, Tensor]], None]) -> None:
    content = torch.load(path, weights_only=True)
    edit(content[part])
    torch.save(content, path)


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


def test_sizes_and_rates_come_from_opt_txt(tree: Path) -> None:
    options = TRANSFORMER_OPTIONS | {"dropout": 0.35, "cond_drop_prob": 0.45, "n_heads": 4, "latent_dim": 16}
    write_options(tree / MASK / "opt.txt", options)
    config = READERS[MASK][0](tree).config
    assert (config["dropout"], config["condition_drop"], config["heads"]) == (0.35, 0.45, 4)
    assert config["positions"] == 60


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


class Evil:
    """Writes a file when it is unpickled the ordinary way."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


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


@pytest.mark.parametrize(
    ("name", "key", "value", "expected"),
    [
        (RVQ, "nb_code", "many", "expected a whole number from 1 to"),
        (RVQ, "nb_code", "0", "expected a whole number from 1 to"),
        (RVQ, "nb_code", "99999999999999", "expected a whole number from 1 to"),
        (RVQ, "width", "-4", "expected a whole number from 1 to"),
        (RVQ, "depth", "2.0", "expected a whole number from 1 to"),
        (RVQ, "mu", "1.5", "at least 0 and below 1"),
        (RVQ, "mu", "nan", "at least 0 and below 1"),
        (RVQ, "quantize_dropout_prob", "x", "at least 0 and below 1"),
        (RVQ, "vq_act", "gelu", "only relu is supported"),
        (RVQ, "vq_norm", "LN", "only None is supported"),
        (RVQ, "shared_codebook", "True", "only False is supported"),
        (RVQ, "down_t", "3", "only 2 is supported"),
        (RVQ, "output_emb_width", "16", "only 8 is supported"),
        (MASK, "n_heads", "3", "multiple of heads"),
        (MASK, "n_layers", "1000000", "expected a whole number from 1 to"),
        (MASK, "vq_name", "rvq_other", "codes of another tokenizer mean other motions"),
        (RESIDUAL, "share_weight", "False", "only True is supported"),
        (BAMM, "trans", "mask", "only official is supported"),
        (DESCRIBED, "dim_movement_enc_hidden", "12", "only 10 is supported"),
        (DESCRIBED, "max_text_len", "", "expected a whole number"),
    ],
)
def test_odd_values_in_opt_txt(tree: Path, name: str, key: str, value: str, expected: str) -> None:
    path = tree / name / "opt.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(f"{key}: {value}" if line.startswith(f"{key}: ") else line for line in lines))
    message = refusal(lambda: READERS[EVALUATOR if name == DESCRIBED else name][0](tree))
    assert str(path) in message
    assert expected in message


def test_wrong_but_possible_sizes_are_found_by_the_shapes(tree: Path) -> None:
    path = tree / MASK / "opt.txt"
    write_options(path, TRANSFORMER_OPTIONS | {"n_layers": 3, "ff_size": 32})
    message = refusal(lambda: READERS[MASK][0](tree))
    assert "missing: seqTransEncoder.layers.2.self_attn.in_proj_weight" in message
    assert "Is opt.txt the one of this checkpoint?" in message


def test_a_text_encoder_of_another_width(tree: Path) -> None:
    wide = Upstream(codes=24, code_width=8, quantizers=3, names=("rvq_tiny",), text_width=512)
    message = refusal(lambda: networks.read_mask_transformer(tree / MASK, wide))
    assert "reads sentence vectors of width 12, but the text encoder gives 512" in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "opt.txt is missing"),
        (b"\xff\xfe\x00", "cannot be read as text"),
        (b"", "lacks 'vq_act'"),
        (b"vq_act: relu\nvq_act: relu\n", "line 2: vq_act is given twice"),
        (b"vq_act relu\n", "line 1: 'vq_act relu' is not `key: value`"),
        (b": relu\n", "line 1: ': relu' is not `key: value`"),
    ],
)
def test_what_is_no_opt_txt(tree: Path, content: bytes | None, expected: str) -> None:
    path = tree / RVQ / "opt.txt"
    path.unlink() if content is None else path.write_bytes(content)
    message = refusal(lambda: networks.read_tokenizer(tree / RVQ))
    assert str(path) in message
    assert expected in message


def test_opt_txt_with_windows_ends_and_values_with_colons(tmp_path: Path) -> None:
    path = tmp_path / "opt.txt"
    path.write_bytes(
        b"\xef\xbb\xbf---- Options ----\r\nlr: 5e-05\r\nnote: a: b\r\nwindow_size = 64\r\n---- End ----\r\n"
    )
    assert dict(read_options(path).values) == {"lr": "5e-05", "note": "a: b", "window_size": "64"}


@pytest.mark.parametrize("name", ["mean", "std"])
@pytest.mark.parametrize("folder", [RVQ, DESCRIBED])
def test_statistics_that_cannot_be_used(tree: Path, folder: str, name: str) -> None:
    path = tree / folder / "meta" / f"{name}.npy"
    read = READERS[RVQ if folder == RVQ else EVALUATOR][0]
    good = np.load(path)

    def told(values: np.ndarray | None) -> str:
        if values is not None:
            np.save(path, values)
        return refusal(lambda: read(tree))

    assert "263" in told(good[:-1])
    assert "must hold one row of numbers" in told(good[None])
    assert "must hold finite floating-point numbers" in told(np.full(263, np.inf))
    assert "must hold finite floating-point numbers" in told(np.ones(263, int))
    if name == "std":
        assert "3 values that are not above 0" in told(np.concatenate([np.zeros(3), good[3:]]))
    path.write_bytes(b"\x93NUMPY")
    assert f"{path} cannot be read" in told(None)
    path.unlink()
    assert f"{path} is missing" in told(None)


def test_statistics_of_another_width_than_the_network(tree: Path) -> None:
    for name in ("mean", "std"):
        np.save(tree / RVQ / "meta" / f"{name}.npy", np.ones(251, np.float32))
    message = refusal(lambda: networks.read_tokenizer(tree / RVQ))
    assert "has 251 values, but the tokenizer reads 263 features" in message


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
