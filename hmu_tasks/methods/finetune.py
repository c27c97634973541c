"""Fine-tuning: the transformers continue training on the retain set alone, from the original's weights.

The baseline of De Matteis et al. 2025, "Human Motion Unlearning" (arXiv 2503.18674): base and residual transformer are
fine-tuned, tokenizer and text encoder are frozen. Nothing is removed actively: what is no longer trained may fade.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hmu_tasks.methods.method import NETWORKS, Colour, Method, Strength
from hmu_tasks.methods.shared.knobs import TunedKnobs

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


class Finetune(TunedKnobs):
    """Fine-tuning on the retain set."""


def apply(given: "Inputs", knobs: Finetune, *, seed: int) -> "Iterator[Edit]":
    """Yield an edit of both transformers per number of optimiser steps."""
    from hmu_tasks.methods.shared.tuned_edits import tuned_edits

    yield from tuned_edits(given, knobs, objective, seed=seed, reads=("retain",))


def objective(
    original: "CodeNetwork", forget: "CodeSet", retain: "CodeSet", device: "torch.device"
) -> "Objective":
    """Return the transformer's own training loss on retain clips; the original and the forget set are not used."""
    from hmu_tasks.methods.shared.tuning import Objective

    del original, forget

    def loss_of(
        network: "CodeNetwork", rows: "np.ndarray", generator: "torch.Generator"
    ) -> "tuple[Tensor, Values]":
        loss = network.training_loss(*retain.batch(rows, generator, device), generator).loss
        return loss, {"retain": loss}

    return Objective(loss_of, retain.tokens)


METHOD = Method(
    name="finetune",
    label="fine-tuned",
    section=Finetune,
    changes=(NETWORKS,),
    apply=apply,
    colour=Colour("#6a51a3", "#a894dc"),
    marker="<",
    strength=Strength("{} steps", axis="gradient steps"),
)
