"""CUDA graphs: work of fixed shapes is recorded once and replayed, which costs one launch instead of thousands."""

import weakref
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor, nn
from torch.cuda import _POOL_HANDLE

from hmu_tasks.runtime.acceleration import graphs, note


class Recording:
    """One recorded graph with the tensors that it reads and writes.

    work: reads the tensors that it is given and whatever else has a fixed place, and returns new tensors. It must not
    wait for the device, and its shapes must follow from those of its inputs.
    """

    def __init__(
        self,
        work: Callable[..., Sequence[Tensor]],
        inputs: Sequence[Tensor],
        *,
        pool: _POOL_HANDLE | None = None,
    ) -> None:
        """Record; `work` must have run once before on this device."""
        self.inputs = [tensor.clone() for tensor in inputs]
        self.graph = torch.cuda.CUDAGraph()
        # Other threads, such as the one that writes checkpoints, may go on meanwhile.
        with torch.cuda.graph(self.graph, pool=pool, capture_error_mode="thread_local"):
            self.outputs = list(work(*self.inputs))

    def replay(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Run on other inputs of the same shapes; the results are overwritten by the next replay."""
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given, non_blocking=True)
        self.graph.replay()
        return self.outputs


class _Known:
    """Recordings that belong to one network."""

    def __init__(self) -> None:
        self.recordings: dict[Hashable, Recording | None] = {}
        self.pool: _POOL_HANDLE | None = None


_KNOWN: "weakref.WeakKeyDictionary[nn.Module, _Known]" = weakref.WeakKeyDictionary()


def replayed(
    owner: nn.Module, key: Hashable, work: Callable[..., Sequence[Tensor]], *inputs: Tensor
) -> list[Tensor]:
    """Run `work` on `inputs`, recorded from the second time on where that is possible and asked for (HMU_GRAPHS).

    owner: the network whose weights `work` reads. key: everything else that `work` depends on. The first replay is
    compared with a plain run; where recording fails or a result differs, a note says so and plain runs go on.
    """
    device = inputs[0].device
    if device.type != "cuda" or not graphs():
        return list(work(*inputs))
    known = _KNOWN.setdefault(owner, _Known())
    # A weight that was moved or replaced has another place, and a recording reads the old one.
    places = tuple(tensor.data_ptr() for tensor in (*owner.parameters(), *owner.buffers()))
    shapes = tuple((tensor.shape, tensor.dtype) for tensor in inputs)
    full = (key, shapes, places, torch.is_autocast_enabled("cuda"))
    if full not in known.recordings:
        known.recordings[full] = None
        plain = list(work(*inputs))  # also loads kernels, which cannot be loaded while recording
        torch.cuda.synchronize(device)
        recording = _recorded(work, inputs, known)
        if recording is not None and _same(recording.replay(inputs), plain):
            known.recordings[full] = recording
        elif recording is not None:
            note(
                "a recorded graph differs from the plain run; plain runs go on (HMU_GRAPHS=off says so at once)"
            )
        return plain
    recording = known.recordings[full]
    if recording is None:
        return list(work(*inputs))
    return [tensor.clone() for tensor in recording.replay(inputs)]


def _recorded(
    work: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor], known: _Known
) -> Recording | None:
    try:
        recording = Recording(work, inputs, pool=known.pool)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        note(f"work could not be recorded as a CUDA graph, plain runs go on ({error})")
        return None
    known.pool = recording.graph.pool()
    return recording


def _same(found: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    """Whether nearly all codes are equal; the last digits of a sum may move a sample across a boundary."""
    pairs = zip(found, expected, strict=True)
    return all(float((one == other).float().mean()) > 0.99 for one, other in pairs)
