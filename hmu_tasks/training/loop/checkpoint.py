"""Checkpoints of a training: a snapshot is taken between two steps and written beside the training."""

import io
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from hmu_tasks.models.networks.weights import UNREADABLE
from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.training.loop.adamw import AdamW
from hmu_tasks.training.loop.history import Averages, History


@runtime_checkable
class Stateful(Protocol):
    """A network that carries training state beside its weights, such as the averages of EMA codebooks."""

    def training_state(self) -> dict[str, Tensor]:
        """Return the state."""
        ...

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        """Take the state back."""
        ...


class Checkpoint:
    """The file of one training; None writes nothing. Used as a context, which ends when the last one is written."""

    def __init__(self, path: Path | None, *, writes: bool = True) -> None:
        """writes: False for a process that only reads it, beside the one that writes."""
        self.path, self.writes = path, writes
        self._writer: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.finish()
        if self._writer is not None:
            self._writer.shutdown()

    def save(
        self,
        model: nn.Module,
        optimiser: AdamW,
        state: dict[str, Any],
        history: History,
        averages: Averages,
    ) -> None:
        """Copy everything that a continued training needs into host memory, and let a thread write it.

        Waits for the one before. Raises what that one's writing raised, such as OSError on a full disk.
        """
        if self.path is None or not self.writes:
            return
        self.finish()
        extra = model.training_state() if isinstance(model, Stateful) else {}
        content = _on_host(
            {
                "model": model.state_dict(),
                "optimiser": optimiser.state_dict(),
                "extra": extra,
                "state": state,
                "rows": list(history.rows),
                "averages": (averages.sums(), averages.count),
            }
        )
        if self._writer is None:
            self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._last = self._writer.submit(_write, self.path, content)

    def finish(self) -> None:
        """Wait until the last snapshot is written; raises what its writing raised."""
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def restore(
        self,
        model: nn.Module,
        optimiser: AdamW,
        state: dict[str, Any],
        history: History,
        averages: Averages,
    ) -> None:
        """Take back what was saved, if anything was; raises WeightsError when it cannot be read or does not fit."""
        if self.path is None or not self.path.exists():
            return
        try:
            saved = torch.load(self.path, weights_only=True, map_location="cpu")
            model.load_state_dict(saved["model"])
            optimiser.load_state_dict(saved["optimiser"])
            if isinstance(model, Stateful):
                model.load_training_state(saved["extra"])
            state.update(saved["state"])
            history.rows[:] = [(int(step), str(name), float(value)) for step, name, value in saved["rows"]]
            averages.load(dict(saved["averages"][0]), int(saved["averages"][1]))
        except (*UNREADABLE, WeightsError) as error:
            raise WeightsError(
                f"training checkpoint {self.path} is damaged or of another network ({type(error).__name__}); "
                "delete it to train from the start"
            ) from error


def _on_host(content: Any) -> Any:
    """Copy all tensors of nested containers into host memory, so that the training may go on changing them."""
    if isinstance(content, Tensor):
        return content.detach().to("cpu", copy=True)
    if isinstance(content, Mapping):
        return {key: _on_host(value) for key, value in content.items()}
    if isinstance(content, Sequence) and not isinstance(content, str):
        return type(content)(_on_host(value) for value in content)  # type: ignore[call-arg]
    return content


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")
    buffer = io.BytesIO()  # torch hides the reason when it cannot write to a file
    torch.save(content, buffer)
    temporary.write_bytes(buffer.getbuffer())
    temporary.replace(path)
