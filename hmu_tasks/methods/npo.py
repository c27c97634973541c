"""NPO, negative preference optimisation: forget clips become less likely than the original finds them; a retain term.

Zhang et al. 2024, "Negative Preference Optimization: From Catastrophic Collapse to Effective Unlearning"
(arXiv 2404.05868): its loss on the forget set, with the training loss on the retain set beside it; `ascent` is the
gradient ascent that the paper compares with.
"""

import copy
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from hmu_tasks.methods.method import NETWORKS, Colour, Method, Strength
from hmu_tasks.methods.shared.knobs import TunedKnobs
from hmu_tasks.runtime.section import Rate

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from hmu_tasks.methods.shared.edit import Edit
    from hmu_tasks.methods.shared.inputs import Inputs
    from hmu_tasks.methods.shared.tuning import Objective
    from hmu_tasks.models.generators.code_network import CodeNetwork
    from hmu_tasks.training.loop.code_batches import CodeSet
    from hmu_tasks.training.loop.history import Values

Loss = Literal["npo", "ascent"]


class Npo(TunedKnobs):
    """Negative preference optimisation, or gradient ascent, with a retain term."""

    loss: Loss
    beta: Rate
    retain_weight: Annotated[float, Field(ge=0)]


def apply(given: "Inputs", knobs: Npo, *, seed: int) -> "Iterator[Edit]":
    """Yield an edit of both transformers per number of optimiser steps."""
    from hmu_tasks.methods.shared.tuned_edits import tuned_edits

    loss = partial(objective, loss=knobs.loss, beta=knobs.beta, retain_weight=knobs.retain_weight)
    yield from tuned_edits(given, knobs, loss, seed=seed, reads=("forget", "retain"))


def preference(policy: "Tensor", reference: "Tensor", *, beta: float) -> "Tensor":
    """Return -(2 / beta) mean log sigmoid(-beta (log pi - log pi_ref)), the loss of Zhang et al. 2024.

    policy, reference: log-likelihoods [n] of the forget clips. As beta approaches 0 its gradient is that of gradient
    ascent; with a larger beta, the gradient of a clip vanishes once the clip has become less likely.
    """
    from torch.nn import functional

    return -(2.0 / beta) * functional.logsigmoid(-beta * (policy - reference)).mean()


def log_likelihood(
    network: "CodeNetwork", batch: "tuple[Tensor, Tensor, Tensor]", generator: "torch.Generator"
) -> "Tensor":
    """Return the log-likelihood per token of each clip of a batch [B], estimated from one training sample.

    Masked and residual transformers have no exact likelihood: the training loss over masked tokens replaces it, as
    the evidence bound does in Zhu et al. 2025 (arXiv 2505.19223). Per token, so that long clips weigh no more than
    short ones and beta has the same scale for all (Fan et al. 2024, arXiv 2410.07163); the paper takes the sum.
    """
    from hmu_tasks.models.generators.token_loss import clip_losses

    return -clip_losses(network.predicted(*batch, generator), len(batch[2]))


def objective(
    original: "CodeNetwork",
    forget: "CodeSet",
    retain: "CodeSet",
    device: "torch.device",
    *,
    loss: Loss = "npo",
    beta: float = 1.0,
    retain_weight: float = 1.0,
) -> "Objective":
    """Return the forget loss plus `retain_weight` times the training loss of as many retain clips.

    Network and original read the same random numbers: hidden tokens, dropped texts and dropout are equal, so that
    their ratio starts at exactly 1 and carries no noise of theirs.
    """
    import torch

    from hmu_tasks.methods.shared.tuning import Objective

    reference = copy.deepcopy(original).to(device).requires_grad_(False).train()

    def loss_of(
        network: "CodeNetwork", rows: "np.ndarray", generator: "torch.Generator"
    ) -> "tuple[Tensor, Values]":
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
        values = {"forget": forgotten, "retain": retained}
        return forgotten + retain_weight * retained, values

    return Objective(loss_of, forget.tokens)


METHOD = Method(
    name="npo",
    label="NPO",
    section=Npo,
    changes=(NETWORKS,),
    apply=apply,
    colour=Colour("#3d4f5c", "#a9bccb"),
    marker=">",
    strength=Strength("{} steps", axis="gradient steps"),
)
