"""One training in several processes: PyTorch's distributed data parallel, started by `torchrun`.

Every process draws the random numbers of the whole batch and computes its own rows; the mean of the gradients is that
of one process with all rows. Files are written by the first process alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch import distributed as dist

from hmu_tasks.training.loop.history import Values
from hmu_tasks.training.loop.recorded import FixedLoss, StepInputs

Compute = Callable[[StepInputs, torch.Generator], tuple[Tensor, Values]]


def processes() -> int:
    """How many processes train together; 1 in an ordinary run."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def first() -> bool:
    """Whether this process is the one that writes."""
    return processes() == 1 or dist.get_rank() == 0


def share(rows: int) -> slice:
    """Rows of a batch that this process computes."""
    count = processes()
    if count == 1:
        return slice(None)
    rank = dist.get_rank()
    return slice(rows * rank // count, rows * (rank + 1) // count)


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Join the other processes for a block, where torchrun has started this one; else do nothing.

    NCCL and a GPU for each process where the device is CUDA, gloo on CPUs.
    """
    if not (dist.is_available() and dist.is_torchelastic_launched()):
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(dist.get_node_local_rank())
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


class _Whole(nn.Module):
    """A network with its loss as the forward pass that PyTorch's wrapper wants."""

    def __init__(self, network: nn.Module, compute: Compute) -> None:
        super().__init__()
        self.network, self.compute = network, compute

    def forward(self, inputs: StepInputs, generator: torch.Generator) -> tuple[Tensor, Values]:
        """Return loss and named values."""
        return self.compute(inputs, generator)


def shared_compute(network: nn.Module, loss: FixedLoss) -> Compute:
    """Return the loss's `compute`; where several processes train, its gradients are their mean."""
    if processes() == 1:
        return loss.compute
    whole = _Whole(network, loss.compute)
    # A table without rows, as of the shared projections of two layers, has no gradient that could be waited for.
    empty = [name for name, parameter in whole.named_parameters() if parameter.numel() == 0]
    nn.parallel.DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(whole, empty)  # type: ignore[no-untyped-call]
    # Buffers are tables that no step changes.
    return nn.parallel.DistributedDataParallel(whole, broadcast_buffers=False)
