"""Official folders at full size, with published opt.txt and made-up weights, give the official numbers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from official_golden import fill, golden, gumbel, manifest, rule_array
from official_tree import write_statistics
from torch import Tensor
from torch.nn import functional

from hmu_tasks.models.evaluators.evaluator import EvaluatorConfig, load_evaluator
from hmu_tasks.models.evaluators.words import GloveWords, embed_tokens
from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.length import LengthConfig, LengthEstimator, load_length, save_length
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.components import save_statistics
from hmu_tasks.models.networks.layers import PositionalEncoding
from hmu_tasks.models.official import networks
from hmu_tasks.models.official.networks import Official, Upstream
from hmu_tasks.models.tokenizer.rvq import TokenizerConfig
from hmu_tasks.models.tokenizer.tokenizer import load_tokenizer

pytestmark = pytest.mark.parity
CPU = torch.device("cpu")
RVQ = "rvq_nq6_dc512_nc512_noshare_qdp0.2"
MASK = "t2m_nlayer8_nhead6_ld384_ff1024_cdp0.1_rvq6ns"
RESIDUAL = "tres_nlayer8_ld384_ff1024_rvq6ns_cdp0.2_sw"
BAMM = "2024-02-14-14-27-29_8_GPT_officialTrans_2iterPrdictEnd"
UPSTREAM = Upstream(codes=512, code_width=512, quantizers=6, names=(RVQ,), text_width=512)


def state_by_rule(shared: Path, name: str) -> dict[str, Tensor]:
    """An official state dict from its manifest alone, without any code of a network."""
    found = {}
    for key, shape in manifest(shared, name).items():
        if key.endswith(".pe"):
            found[key] = PositionalEncoding(shape[2], shape[0], 0.0).pe.clone()
        else:
            found[key] = torch.from_numpy(rule_array(key, shape))
    return found


def write(shared: Path, root: Path, name: str, file: str, key: str, options: str | None = None) -> Path:
    folder = root / name
    (folder / "model").mkdir(parents=True)
    clip = {} if name == RVQ else {"clip_model.token_embedding.weight": torch.zeros(3)}
    manifest_name = f"bamm_{name}" if name == BAMM else name
    torch.save({key: state_by_rule(shared, manifest_name) | clip, "ep": 5}, folder / "model" / file)
    if options is not None:
        text = (shared / "golden/checkpoint_layout" / f"{options}.opt.txt").read_text(encoding="utf-8")
        (folder / "opt.txt").write_text(text, encoding="utf-8")
    return folder


def stored(official: Official, folder: Path) -> Path:
    """What the train step writes."""
    weights.save(official.state, official.config, folder)
    if official.statistics is not None:
        save_statistics(*official.statistics, folder)
    return folder


def close(found: Tensor, expected: np.ndarray, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(found, torch.from_numpy(expected), atol=tolerance, rtol=0)


def load(kind: Callable[[Any], torch.nn.Module], config: Any, folder: Path) -> Any:
    network = kind(config)
    weights.load_strict(network, weights.load_state(folder))
    return network.eval()


def test_tokenizer(shared: Path, tmp_path: Path) -> None:
    folder = write(shared, tmp_path, RVQ, "net_best_fid.tar", "vq_model", RVQ)
    write_statistics(folder / "meta", scale=0.2)
    official = networks.read_tokenizer(folder)
    assert TokenizerConfig(**official.config) == TokenizerConfig()
    tokenizer = load_tokenizer(stored(official, tmp_path / "out"), CPU)
    expected = golden(shared, "b_rvq")
    codes = tokenizer.network.encode(torch.from_numpy(expected["x64"]))
    assert torch.equal(codes, torch.from_numpy(expected["idx64"]).long())
    # Raw motion goes in and out through the folder's own statistics.
    raw = (torch.from_numpy(expected["x64"]) * tokenizer.std + tokenizer.mean).numpy()
    assert all(
        np.array_equal(a, b) for a, b in zip(tokenizer.encode(list(raw)), expected["idx64"], strict=True)
    )
    motion = torch.from_numpy(np.stack(tokenizer.decode(list(codes.numpy()))))
    close((motion - tokenizer.mean) / tokenizer.std, expected["dec64"], 1e-4)


def test_mask_transformer(shared: Path, tmp_path: Path) -> None:
    official = networks.read_mask_transformer(
        write(shared, tmp_path, MASK, "latest.tar", "t2m_transformer", MASK), UPSTREAM
    )
    config = MaskTransformerConfig(**official.config)
    assert config == MaskTransformerConfig()
    network = load(MaskTransformer, config, stored(official, tmp_path / "out"))
    expected = golden(shared, "c_mask")
    ids, text, lengths = (torch.from_numpy(expected[k]) for k in ("ids", "emb", "lens"))
    inside = (torch.arange(49)[None] < lengths[:, None])[..., None]
    with torch.no_grad():
        close((network.logits(ids.long(), text, lengths) * inside).transpose(1, 2), expected["logits_cond"])


def test_residual_transformer(shared: Path, tmp_path: Path) -> None:
    official = networks.read_residual_transformer(
        write(shared, tmp_path, RESIDUAL, "net_best_fid.tar", "res_transformer", RESIDUAL), UPSTREAM
    )
    config = ResidualTransformerConfig(**official.config)
    assert config == ResidualTransformerConfig()
    network = load(ResidualTransformer, config, stored(official, tmp_path / "out"))
    expected = golden(shared, "d_res")
    codes, text, lengths = (torch.from_numpy(expected[k]) for k in ("codes", "emb", "lens"))
    inside = (torch.arange(20)[None] < lengths[:, None])[..., None]
    with torch.no_grad():
        logits = network.logits(codes.long(), 3, text, lengths)
    close((logits * inside).transpose(1, 2), expected["logits_cond_q3"])


@pytest.mark.parametrize("options", ["bamm", "bamm_after_hmu_prepare"])
def test_bamm(shared: Path, tmp_path: Path, options: str) -> None:
    """The second opt.txt is the one that the unlearning code's set-up script rewrites, with short names for folders."""
    folder = write(shared, tmp_path, BAMM, "latest.tar", "trans", options)
    upstream = UPSTREAM if options == "bamm" else Upstream(512, 512, 6, ("rvq", RVQ), 512)
    official = networks.read_bamm(folder, upstream)
    config = BammConfig(**official.config)
    assert config == BammConfig()
    if options != "bamm":
        return
    network = load(BammTransformer, config, stored(official, tmp_path / "out"))
    expected = golden(shared, "e_bamm")
    ids, text = torch.from_numpy(expected["ids"]).long(), torch.from_numpy(expected["emb"])
    with torch.no_grad():
        close(network.logits(ids, text).transpose(1, 2), expected["logits_causal_cond"])


def test_length_estimator(shared: Path, tmp_path: Path) -> None:
    official = networks.read_length_estimator(
        write(shared, tmp_path, "length_estimator", "finest.tar", "estimator")
    )
    assert LengthConfig(**official.config) == LengthConfig()
    save_length(official.state, official.config, tmp_path)
    network = load_length(tmp_path, CPU)
    assert isinstance(network, LengthEstimator)
    expected = golden(shared, "b_rvq")
    close(network(torch.from_numpy(expected["len_in"])), expected["len_logits"])


def test_evaluator(shared: Path, tmp_path: Path) -> None:
    parts = {name: state_by_rule(shared, f"evaluator_{name}") for name in PARTS}
    (tmp_path / "text_mot_match/model").mkdir(parents=True)
    torch.save({**parts, "epoch": 1, "iter": 2}, tmp_path / "text_mot_match/model/finest.tar")
    described = tmp_path / "Comp_v6_KLD005"
    described.mkdir()
    options = (shared / "golden/checkpoint_layout/Comp_v6_KLD005.opt.txt").read_text(encoding="utf-8")
    (described / "opt.txt").write_text(options, encoding="utf-8")
    write_statistics(described / "meta", scale=0.3)
    official = networks.read_evaluator(tmp_path / "text_mot_match", described)
    sizes = {k: v for k, v in official.config.items() if k not in ("max_words", "words")}
    assert EvaluatorConfig(**sizes) == EvaluatorConfig()
    network, _, _, max_words = load_evaluator(stored(official, tmp_path / "out"), CPU)
    assert max_words == 20
    expected = golden(shared, "f_evaluator")
    given = {name: torch.from_numpy(array) for name, array in expected.items()}
    with torch.no_grad():
        classes = functional.one_hot(given["pos_idx"].long(), 15).float()
        text = network.embed_text(given["word_embs_f16"].float(), classes, given["sent_len"])
        motion = network.embed_motion(given["motions_f16"].float(), given["lens"])
    close(text, expected["text_emb_input_order"], 5e-6)
    close(motion, expected["motion_emb_input_order"], 5e-6)


PARTS = ("movement_encoder", "motion_encoder", "text_encoder")


def test_words_are_read_as_the_official_vectorizer_reads_them(shared: Path) -> None:
    expected = json.loads((shared / "golden/a2_word_vectorizer.json").read_text(encoding="utf-8"))
    known = {token.partition("/")[0]: entry["row"] for token, entry in expected.items()}
    rows = max(known.values()) + 1
    words = [f"other{row}" for row in range(rows)]
    for word, row in known.items():
        if row != 2 or word == "unk":
            words[row] = word
    vectors = (np.random.default_rng(900).standard_normal((rows, 300)) * 0.4).astype(np.float32)
    embedded, classes, lengths = embed_tokens([list(expected)], GloveWords(words, vectors), max_words=20)
    assert lengths.tolist() == [len(expected) + 2]
    for place, (token, entry) in enumerate(expected.items(), start=1):
        np.testing.assert_array_equal(embedded[0, place], vectors[entry["row"]], err_msg=token)
        assert int(classes[0, place].argmax()) == entry["pos"], token


@pytest.mark.parametrize("steps", [10, 18])
@pytest.mark.parametrize("kind", ["greedy", "noise"])
def test_masked_decoding_step_by_step(shared: Path, steps: int, kind: str) -> None:
    """Every step reads the ids that the official code feeds to the network, and ends on its codes."""
    network = MaskTransformer(MaskTransformerConfig())
    fill(network)
    expected = golden(shared, "c_mask")
    read: list[Tensor] = []
    network.token_emb.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0][:4].clone()))
    noise = torch.stack([gumbel(2000 + k, (4, 49, 512)) for k in range(steps)]) if kind == "noise" else None
    ids = network.generate(
        torch.from_numpy(expected["gen_emb"]),
        torch.from_numpy(expected["gen_lens"]),
        steps=steps,
        temperature=0.0 if noise is None else 1.0,
        noise=noise,
        generator=torch.Generator().manual_seed(0),
    )
    np.testing.assert_array_equal(torch.stack(read).numpy(), expected[f"gen{steps}_{kind}_trace"])
    np.testing.assert_array_equal(ids.numpy(), expected[f"gen{steps}_{kind}_ids"])
