"""CUDA graphs: work of fixed shapes is recorded once and replayed, which costs one launch instead of thousands."""

import weakref
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor, nn
from torch.cuda import _POOL_HANDLE

from hmu_tasks.runtime.acceleration import graphs, note


class GraphRecording:
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
        # Casts that autocast keeps from before would be freed while the graph goes on to read them.
        torch.clear_autocast_cache()
        # Other threads, such as the one that writes checkpoints, may go on meanwhile.
        # The outer block ends on the stream of before even where the end of the capture is an error: torch's does not.
        with (
            torch.cuda.stream(torch.cuda.current_stream()),
            torch.cuda.graph(self.graph, pool=pool, capture_error_mode="thread_local"),
        ):
            self.outputs = list(work(*self.inputs))
        torch.clear_autocast_cache()

    def replay(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Run on other inputs of the same shapes; the results are overwritten by the next replay."""
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given, non_blocking=True)
        self.graph.replay()
        return self.outputs


class _Known:
    """Recordings that belong to one network, by what they were made for; None where plain runs go on."""

    def __init__(self) -> None:
        self.seen: set[Hashable] = set()
        self.recordings: dict[Hashable, GraphRecording | None] = {}
        self.pool: _POOL_HANDLE | None = None


_KNOWN: "weakref.WeakKeyDictionary[nn.Module, _Known]" = weakref.WeakKeyDictionary()


def replayed(
    owner: nn.Module, key: Hashable, work: Callable[..., Sequence[Tensor]], *inputs: Tensor
) -> list[Tensor]:
    """Run `work` on `inputs`, replayed where that is possible and asked for (HMU_GRAPHS).

    owner: the network whose weights `work` reads. key: everything else that `work` depends on. The second run of a kind
    is recorded, and the recording is compared with it: where that fails or differs, a note says so and runs stay plain.
    """
    device = inputs[0].device
    if device.type != "cuda" or not graphs():
        return list(work(*inputs))
    known = _KNOWN.setdefault(owner, _Known())
    # A weight that was moved or replaced has another place, and a recording reads the old one.
    places = tuple(tensor.data_ptr() for tensor in (*owner.parameters(), *owner.buffers()))
    shapes = tuple((tensor.shape, tensor.dtype) for tensor in inputs)
    kind = (key, shapes, places, torch.is_autocast_enabled("cuda"))
    recording = known.recordings.get(kind)
    if recording is not None:
        return [tensor.clone() for tensor in recording.replay(inputs)]
    plain = list(work(*inputs))
    if kind in known.seen and kind not in known.recordings:
        known.recordings[kind] = _checked(_recorded(work, inputs, known), inputs, plain)
    known.seen.add(kind)
    return plain


def _checked(
    recording: GraphRecording | None, inputs: Sequence[Tensor], plain: Sequence[Tensor]
) -> GraphRecording | None:
    """Give a recording back if it does what the plain run did, but for the last digits of sums.

    They may move a sample across a boundary, and what follows from it: nearly all codes are to be equal.
    """
    if recording is None:
        return None
    pairs = zip(recording.replay(inputs), plain, strict=True)
    if all(float((one == other).float().mean()) > 0.99 for one, other in pairs):
        return recording
    note("a recorded graph gives other codes than the plain run; plain runs go on")
    return None


def _recorded(
    work: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor], known: _Known
) -> GraphRecording | None:
    try:
        recording = GraphRecording(work, inputs, pool=known.pool)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        note(f"work could not be recorded as a CUDA graph, plain runs go on ({error})")
        return None
    known.pool = recording.graph.pool()
    return recording
