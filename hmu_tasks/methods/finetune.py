"""Fine-tuning: the transformers go on training on the retain set alone, from the original's weights.

The baseline of De Matteis et al. 2025, "Human Motion Unlearning" (arXiv 2503.18674): base and residual transformer are
trained on, tokenizer and text encoder stay. Nothing is pushed out: what is no longer trained may fade.
"""

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.methods.shared.tuning import Objective
from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.training.loop.transformers import CodeSet


def objective(original: CodeNetwork, forget: CodeSet, retain: CodeSet, *, device: torch.device) -> Objective:
    """Return the transformer's own training loss on retain clips; the original and the forget set play no part."""
    del original, forget

    def loss_of(
        network: CodeNetwork, rows: np.ndarray, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        loss = network.training_loss(*retain.batch(rows, generator, device), generator).loss
        return loss, {"retain": loss.item()}

    return Objective(loss_of, retain.tokens)
