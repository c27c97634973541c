"""Made-up weights at official size, by the rule that the golden numbers were computed with."""

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


def rule_array(key: str, shape: tuple[int, ...]) -> np.ndarray:
    n = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape).astype(np.float32)
    last = key.split(".")[-1]
    if last == "codebook":
        return n
    if last == "weight" and len(shape) == 1:
        return np.float32(1) + np.float32(0.02) * n
    return n * np.float32(0.02)


def fill(module: nn.Module) -> None:
    """Set every tensor but the table of positions by the rule, through the ordinary loading."""
    state: dict[str, Tensor] = {}
    for key, tensor in module.state_dict().items():
        by_rule = key.endswith(".pe")
        state[key] = tensor if by_rule else torch.from_numpy(rule_array(key, tuple(tensor.shape)))
    module.load_state_dict(state)
    module.eval()


def manifest(shared: Path, name: str) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of an official state dict."""
    content = json.loads((shared / "golden" / "manifests" / f"{name}.json").read_text())
    return {key: tuple(entry["shape"]) for key, entry in content["keys"].items()}


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}


def golden(shared: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(shared / "golden" / f"{name}.npz") as arrays:
        return {key: arrays[key] for key in arrays.files}


def gumbel(seed: int, shape: tuple[int, ...]) -> Tensor:
    """Gumbel noise as the golden runs drew it."""
    u = torch.from_numpy(np.random.default_rng(seed).random(shape, dtype=np.float32))
    return -torch.log((-torch.log(u.clamp(min=1e-20))).clamp(min=1e-20))
