"""MoMask's length estimator: a sentence vector to scores over motion lengths in tokens.

Guo et al. 2022, "Generating Diverse and Natural 3D Human Motions from Text", and the released MoMask code.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from hmu_tasks.models.layers import initialise, seeded


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
        """text: [B, W] -> [B, lengths] logits."""
        out: Tensor = self.output(text)
        return out
