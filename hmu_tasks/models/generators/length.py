"""MoMask's length estimator: from a sentence vector to logits over motion lengths in tokens.

Guo et al. 2022, "Generating Diverse and Natural 3D Human Motions from Text", and the released MoMask code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.components import build_config, build_network
from hmu_tasks.models.networks.layers import initialise, seeded
from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.files import read_object, replacing, write_json
from hmu_tasks.runtime.tensor_files import read_tensors


@dataclass(frozen=True)
class LengthConfig:
    """Sentence width, hidden width, number of lengths (0 to lengths - 1 tokens)."""

    text_width: int = 512
    hidden: int = 512
    lengths: int = 50


class LengthEstimator(nn.Module):
    """Three shrinking hidden layers to one score per length."""

    def __init__(self, config: LengthConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        h = config.hidden
        with seeded(seed):
            self.output = nn.Sequential(
                nn.Linear(config.text_width, h),
                nn.LayerNorm(h),
                nn.LeakyReLU(0.2),
                nn.Dropout(0.2),
                nn.Linear(h, h // 2),
                nn.LayerNorm(h // 2),
                nn.LeakyReLU(0.2),
                nn.Dropout(0.2),
                nn.Linear(h // 2, h // 4),
                nn.LayerNorm(h // 4),
                nn.LeakyReLU(0.2),
                nn.Linear(h // 4, config.lengths),
            )
            self.apply(initialise)

    def forward(self, text: Tensor) -> Tensor:
        """text: sentence vectors [B, W] -> [B, lengths] logits."""
        out: Tensor = self.output(text)
        return out


def save_length(state: Mapping[str, Tensor], config: Mapping[str, Any], folder: Path) -> None:
    """Save a length estimator with the text encoder whose sentence vectors it reads."""
    with replacing(folder / "length.safetensors") as temporary:
        temporary.write_bytes(to_bytes({name: state[name].contiguous() for name in sorted(state)}))
    write_json(folder / "length.json", dict(config))


def load_length(folder: Path, device: torch.device) -> LengthEstimator | None:
    """Read the length estimator of a text encoder's folder; None where it has none."""
    if not (folder / "length.json").is_file():
        return None
    try:
        config, state = read_object(folder / "length.json"), read_tensors(folder / "length.safetensors")
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"the length estimator in {folder} cannot be read ({error}); import it again"
        ) from error
    network = build_network(LengthEstimator, build_config(LengthConfig, config, folder), folder)
    weights.load_strict(network, state)
    return network.eval().requires_grad_(False).to(device)
