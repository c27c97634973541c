"""Training of a network on clips as codes with their embedded captions."""

from collections.abc import Sequence
from typing import Unpack

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.models.generators.token_loss import mean_over_processes
from hmu_tasks.models.networks.memory import Batches
from hmu_tasks.training.loop.code_batches import CodeSet
from hmu_tasks.training.loop.fit import FitOptions, Loss, Trained, fit
from hmu_tasks.training.loop.history import Values
from hmu_tasks.training.loop.processes import processes, share
from hmu_tasks.training.loop.recorded import FixedLoss, Part, StepInputs


def code_loss(network: CodeNetwork, train: CodeSet, device: torch.device) -> Loss:
    """Return the network's own training loss on batches of clips.

    On a CUDA device or in several processes, and if the network can (`CodeNetwork.fixed_loss`), batches have few shapes
    and are gathered on the device; where the clips do not fit into its memory, they come from the host.
    """
    if (device.type == "cuda" or processes() > 1) and type(network).fixed_loss is not CodeNetwork.fixed_loss:
        return fixed_code_loss(network, train, device)

    def loss_of(rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Values]:
        result = network.training_loss(*train.batch(rows, generator, device), generator)
        return result.loss, {"loss": result.loss, "accuracy": result.accuracy}

    return loss_of


def fixed_code_loss(network: CodeNetwork, train: CodeSet, device: torch.device) -> FixedLoss:
    """Return `code_loss` of fixed shapes, on any device."""
    resident = train.move(device)

    def prepare(rows: np.ndarray, generator: torch.Generator) -> StepInputs:
        if resident:
            return train.inputs(rows)
        return StepInputs(train.batch(rows, generator, device, fixed=True), None)

    def compute(inputs: StepInputs, generator: torch.Generator) -> tuple[Tensor, Values]:
        codes, text, lengths = train.gathered(inputs, generator) if resident else inputs.tensors
        result = network.fixed_loss(codes, text, lengths, generator, share(len(lengths)))
        assert result is not None
        return result.loss, {"loss": mean_over_processes(result.loss), "accuracy": result.accuracy}

    def part(inputs: StepInputs, generator: torch.Generator, rows: slice) -> Part:
        codes, text, lengths = train.gathered(inputs, generator) if resident else inputs.tensors
        found = network.fixed_loss(codes, text, lengths, generator, rows)
        assert found is not None
        assert found.weight is not None
        assert found.counted is not None
        return Part(
            found.loss,
            found.weight,
            {"loss": found.loss.detach(), "accuracy": found.accuracy},
            {"loss": found.weight, "accuracy": found.counted},
        )

    return FixedLoss(prepare, compute, part)


def fit_codes(
    network: CodeNetwork,
    train: CodeSet,
    val: CodeSet,
    **options: Unpack[FitOptions],
) -> Trained:
    """Train a network with its own training loss (for MoMask's: Guo et al. 2024, sections 3.2 and 3.3)."""
    device, batch = options["device"], options["schedule"].batch
    generator = torch.Generator()
    batches = Batches(batch, what="clips", rewind=[generator])

    def loss_of(rows: Sequence[int]) -> float:
        found = network.training_loss(*val.batch(np.asarray(rows), generator, device), generator)
        return found.loss.item()

    def validate() -> float:
        generator.manual_seed(options["seed"])
        starts = range(0, len(val.codes), batch)
        losses = [batches.mean(range(i, min(i + batch, len(val.codes))), loss_of) for i in starts]
        return float(np.mean(losses))

    return fit(
        network,
        code_loss(network, train, device),
        train.tokens,
        validate=validate,
        **options,
    )
