"""Official checkpoints: sizes from opt.txt, statistics, and what does not fit together."""

from pathlib import Path

import numpy as np
import pytest
from official_readers import READERS, pristine, refusal, tree
from official_tree import (
    BAMM,
    DESCRIBED,
    EVALUATOR,
    MASK,
    RESIDUAL,
    RVQ,
    TRANSFORMER_OPTIONS,
    write_options,
)

from hmu_tasks.models.official import networks
from hmu_tasks.models.official.networks import Upstream
from hmu_tasks.models.official.options import read_options

__all__ = ["pristine", "tree"]


def test_sizes_and_rates_come_from_opt_txt(tree: Path) -> None:
    options = TRANSFORMER_OPTIONS | {"dropout": 0.35, "cond_drop_prob": 0.45, "n_heads": 4, "latent_dim": 16}
    write_options(tree / MASK / "opt.txt", options)
    config = READERS[MASK][0](tree).config
    assert (config["dropout"], config["condition_drop"], config["heads"]) == (0.35, 0.45, 4)
    assert config["positions"] == 60


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
