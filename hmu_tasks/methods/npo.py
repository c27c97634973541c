"""NPO, negative preference optimisation: forget clips become less likely than the original finds them; a retain term.

Zhang et al. 2024, "Negative Preference Optimization: From Catastrophic Collapse to Effective Unlearning"
(arXiv 2404.05868): its loss on the forget set, with the training loss on the retain set beside it; `ascent` is the
gradient ascent that the paper compares with.
"""

import copy
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hmu_tasks.methods.shared.tuning import Objective
from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.models.generators.token_loss import clip_losses
from hmu_tasks.training.loop.transformers import CodeSet

Loss = Literal["npo", "ascent"]


def preference(policy: Tensor, reference: Tensor, *, beta: float) -> Tensor:
    """Return -(2 / beta) mean log sigmoid(-beta (log pi - log pi_ref)), the loss of Zhang et al. 2024.

    policy, reference: log-likelihoods [n] of the forget clips. With beta towards 0 its gradient is that of gradient
    ascent; with a larger one, a clip that has become less likely soon pulls no more.
    """
    return -(2.0 / beta) * functional.logsigmoid(-beta * (policy - reference)).mean()


def log_likelihood(
    network: CodeNetwork, batch: tuple[Tensor, Tensor, Tensor], generator: torch.Generator
) -> Tensor:
    """Return the log-likelihood per token of each clip of a batch [B], estimated from one training draw.

    Masked and residual transformers have no exact likelihood: the training loss over hidden tokens stands for it, as
    the evidence bound does in Zhu et al. 2025 (arXiv 2505.19223). Per token, so that long clips weigh no more than
    short ones and beta means the same for all (Fan et al. 2024, arXiv 2410.07163); the paper takes the sum.
    """
    return -clip_losses(network.predicted(*batch, generator), len(batch[2]))


def objective(
    original: CodeNetwork,
    forget: CodeSet,
    retain: CodeSet,
    *,
    device: torch.device,
    loss: Loss = "npo",
    beta: float = 1.0,
    retain_weight: float = 1.0,
) -> Objective:
    """Return the forget loss plus `retain_weight` times the training loss of as many retain clips.

    Network and original read the same draws: hidden tokens, dropped texts and dropout are equal, so that their ratio
    starts at exactly 1 and carries no noise of theirs.
    """
    reference = copy.deepcopy(original).to(device).requires_grad_(False).train()

    def loss_of(
        network: CodeNetwork, rows: np.ndarray, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        kept = torch.randint(len(retain.codes), (len(rows),), generator=generator).numpy()
        retained = network.training_loss(*retain.batch(kept, generator, device), generator).loss
        batch = forget.batch(rows, generator, device)
        again = torch.Generator(generator.device)
        again.set_state(generator.get_state())
        policy = log_likelihood(network, batch, generator)
        if loss == "ascent":
            forgotten = policy.mean()
        else:
            with torch.no_grad():
                known = log_likelihood(reference, batch, again)
            forgotten = preference(policy, known, beta=beta)
        values = {"forget": forgotten.item(), "retain": retained.item()}
        return forgotten + retain_weight * retained, values

    return Objective(loss_of, forget.tokens)
