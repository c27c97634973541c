"""Made-up checkpoints in the folders, files and keys of the official releases, at toy size."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hmu_tasks.models.evaluators.evaluator import Evaluator, EvaluatorConfig
from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.length import LengthConfig, LengthEstimator
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig

RVQ = "t2m/rvq_tiny"
MASK = "t2m/t2m_tiny"
RESIDUAL = "t2m/tres_tiny"
BAMM = "t2m/bamm_tiny"
LENGTH = "t2m/length_estimator"
EVALUATOR = "t2m/text_mot_match"
DESCRIBED = "t2m/Comp_v6_KLD005"
GLOVE = "glove"
TEXT_WIDTH = 12  # of tests/tiny_clip.py
TOKENS = {"codes": 24, "code_width": 8}
SIZES = {"latent": 16, "layers": 2, "heads": 2, "feedforward": 24, "text_width": TEXT_WIDTH, "positions": 60}
WORDS = ["sos", "eos", "unk", "a", "the", "man", "person", "kick", "punch", "walk", "left", "hand", "slowly"]

# As the option parsers write them: sorted keys, everything as text.
RVQ_OPTIONS: dict[str, Any] = {
    "code_dim": 8,
    "dataset_name": "t2m",
    "depth": 2,
    "dilation_growth_rate": 3,
    "down_t": 2,
    "feat_bias": 5,
    "is_train": True,
    "lr": 0.0002,
    "milestones": [150000, 250000],
    "mu": 0.99,
    "name": "rvq_tiny",
    "nb_code": 24,
    "num_quantizers": 3,
    "output_emb_width": 8,
    "quantize_dropout_prob": 0.2,
    "shared_codebook": False,
    "stride_t": 2,
    "vq_act": "relu",
    "vq_norm": None,
    "weight_decay": 0.0,
    "width": 12,
    "window_size": 64,
}
TRANSFORMER_OPTIONS: dict[str, Any] = {
    "cond_drop_prob": 0.1,
    "dataset_name": "t2m",
    "dropout": 0.2,
    "ff_size": 24,
    "latent_dim": 16,
    "milestones": [50000],
    "n_heads": 2,
    "n_layers": 2,
    "share_weight": False,
    "unit_length": 4,
    "vq_name": "rvq_tiny",
}
EVALUATOR_OPTIONS: dict[str, Any] = {
    "dim_movement_enc_hidden": 10,
    "dim_movement_latent": 10,
    "dim_text_hidden": 512,  # of another network of the same option parser
    "max_text_len": 20,
    "name": "Comp_v6_KLD005",
    "unit_length": 4,
}


def write_options(path: Path, values: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{key}: {values[key]}" for key in sorted(values)]
    rule = ("------------ Options -------------", "-------------- End ----------------")
    path.write_text("\n".join([rule[0], *lines, rule[1], ""]), encoding="utf-8")


def write_tar(path: Path, parts: Mapping[str, Mapping[str, Tensor]], network: nn.Module, **more: Any) -> None:
    """Save a checkpoint with the state of its optimiser and schedule beside the weights, as training leaves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [10, 20])
    state = {
        "scheduler": schedule.state_dict(),
        "opt_vq_model": optimiser.state_dict(),
        "ep": 3,
        "total_it": 9,
    }
    torch.save({**parts, **state, **more}, path)


def write_statistics(folder: Path, *, scale: float) -> None:
    """Mean and std of a network's own; made such that taking another network's shows."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    np.save(folder / "mean.npy", rng.normal(0, 0.05, 263).astype(np.float32))
    np.save(folder / "std.npy", (scale * rng.uniform(0.5, 1.0, 263)).astype(np.float32))


def tokenizer() -> RVQVAE:
    network = RVQVAE(
        TokenizerConfig(width=12, quantizers=3, depth=2, positions_stop=67, **TOKENS),  # type: ignore[arg-type]
        seed=1,
    )
    # One step puts the codes onto latents, so that motions use many of them.
    generator = torch.Generator().manual_seed(0)
    motion = torch.randn(16, 1, 263, generator=generator) + 0.3 * torch.randn(
        16, 64, 263, generator=generator
    )
    network.train().training_loss(2.0 * motion, generator=generator)
    return network.eval()


def mask_transformer() -> MaskTransformer:
    return MaskTransformer(MaskTransformerConfig(**TOKENS, **SIZES), seed=2).eval()  # type: ignore[arg-type]


def residual_transformer() -> ResidualTransformer:
    return ResidualTransformer(ResidualTransformerConfig(quantizers=3, **TOKENS, **SIZES), seed=3).eval()  # type: ignore[arg-type]


def bamm() -> BammTransformer:
    return BammTransformer(BammConfig(**TOKENS, **SIZES), seed=4).eval()  # type: ignore[arg-type]


def evaluator() -> Evaluator:
    sizes = EvaluatorConfig(movement_width=10, motion_hidden=14, text_hidden=9, width=7, word_width=6)
    return Evaluator(sizes, seed=5).eval()


def length_estimator() -> LengthEstimator:
    return LengthEstimator(LengthConfig(text_width=TEXT_WIDTH, hidden=16, lengths=50), seed=6).eval()


def write_glove(folder: Path, words: list[str] = WORDS) -> np.ndarray:
    """Write the three files; the rows lie in another order than the words, as nothing promises that they do not."""
    folder.mkdir(parents=True, exist_ok=True)
    vectors = np.random.default_rng(900).standard_normal((len(words), 6)) * 0.4
    rows = {word: (row * 5 + 2) % len(words) for row, word in enumerate(words)}
    np.save(folder / "our_vab_data.npy", vectors)
    (folder / "our_vab_words.pkl").write_bytes(pickle.dumps(words))
    (folder / "our_vab_idx.pkl").write_bytes(pickle.dumps(rows))
    return vectors[[rows[word] for word in words]].astype(np.float32)


def write_official(root: Path) -> Path:
    """Write the whole tree: two of the files have the keys of older releases, one carries CLIP along."""
    network: nn.Module = tokenizer()
    write_options(root / RVQ / "opt.txt", RVQ_OPTIONS)
    write_statistics(root / RVQ / "meta", scale=0.2)
    write_tar(root / RVQ / "model/net_best_fid.tar", {"net": network.state_dict()}, network)
    network = mask_transformer()
    write_options(root / MASK / "opt.txt", TRANSFORMER_OPTIONS)
    clip = {"clip_model.logit_scale": torch.ones(())}
    write_tar(root / MASK / "model/latest.tar", {"t2m_transformer": network.state_dict() | clip}, network)
    network = residual_transformer()
    write_options(root / RESIDUAL / "opt.txt", TRANSFORMER_OPTIONS | {"share_weight": True})
    write_tar(root / RESIDUAL / "model/net_best_fid.tar", {"res_transformer": network.state_dict()}, network)
    network = bamm()
    write_options(root / BAMM / "opt.txt", TRANSFORMER_OPTIONS | {"trans": "official"})
    write_tar(root / BAMM / "model/latest.tar", {"trans": network.state_dict()}, network)
    network = length_estimator()
    write_tar(root / LENGTH / "model/finest.tar", {"estimator": network.state_dict()}, network, niter=4)
    network = evaluator()
    parts = {
        name: getattr(network, name).state_dict()
        for name in ("text_encoder", "motion_encoder", "movement_encoder")
    }
    write_tar(root / EVALUATOR / "model/finest.tar", parts, network, epoch=1, iter=2)
    write_options(root / DESCRIBED / "opt.txt", EVALUATOR_OPTIONS)
    write_statistics(root / DESCRIBED / "meta", scale=0.3)
    write_glove(root / GLOVE)
    return root


PARAMS: dict[str, Any] = {
    "mode": "pretrained",
    "text": {"encoder": "clip", "words": 0, "clip_folder": "raw/clip"},
    "pretrained": {
        "source": "raw/checkpoints",
        "retrain": "absent",
        "tokenizer": RVQ,
        "base": {"momask": MASK, "bamm": BAMM},
        "residual": RESIDUAL,
        "length": LENGTH,
        "evaluator": EVALUATOR,
        "evaluator_options": DESCRIBED,
        "glove": GLOVE,
    },
}
