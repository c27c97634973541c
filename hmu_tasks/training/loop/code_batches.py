"""Clips as codes with their embedded captions, gathered into batches by index, on the device where they fit."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.models.networks.layers import uniform
from hmu_tasks.models.networks.lengths import bucket
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.training.loop.recorded import StepInputs
from hmu_tasks.training.loop.resident import Ragged, fits, pinned

Batch = tuple[Tensor, Tensor, Tensor]
"""Codes [B, T, Q], zero beyond the length; a caption of each clip, [B, 1 + n, W]; lengths [B]."""
CPU = torch.device("cpu")


class CodeSet:
    """Codes [T_i, Q] of each clip with its embedded captions, rows [1 + n, W] each."""

    def __init__(
        self, codes: Sequence[np.ndarray], captions: Sequence[Sequence[str]], rows: Mapping[str, Tensor]
    ) -> None:
        """rows: of every text in `captions`; a text of a sentence vector alone may be [W]."""
        self.codes = [torch.from_numpy(np.array(c)) for c in codes]
        for number, own in enumerate(captions):
            if not own:
                raise DataError(f"clip {number} of a training set has no caption; ingest the dataset again")
        numbers = {text: n for n, text in enumerate(sorted({text for own in captions for text in own}))}
        texts = [rows[text] for text in numbers]
        self._vectors = bool(texts) and texts[0].ndim == 1
        self._codes = Ragged(self.codes, CPU)
        self._texts = Ragged([row[None] if self._vectors else row for row in texts], CPU)
        self._captions = Ragged([torch.tensor([numbers[text] for text in own]) for own in captions], CPU)
        self._most = max(map(len, texts), default=0) if not self._vectors else 1
        self._device: torch.device | None = None

    @property
    def tokens(self) -> np.ndarray:
        """Lengths in tokens, [N]."""
        return np.array([len(c) for c in self.codes])

    def batch(
        self,
        rows: np.ndarray,
        generator: torch.Generator,
        device: torch.device,
        *,
        fixed: bool = False,
    ) -> Batch:
        """Gather a batch on the host with a random caption of each clip and send it to a device.

        It is as wide as its longest clip and caption; `fixed` has few widths instead. generator: of the CPU.
        """
        which = torch.from_numpy(np.asarray(rows))
        text = self._chosen(which, generator, self._captions)
        words = self._most if fixed else int(self._texts.lengths[text].max())
        found = self._gathered(
            which, text, self._codes, self._texts, tokens=self._width(rows, fixed), words=words
        )
        codes, texts, lengths = (pinned(tensor, device) for tensor in found)
        return codes, texts, lengths

    def move(self, device: torch.device) -> bool:
        """Keep everything on a device where it fits; returns whether `inputs` and `gathered` may be used."""
        parts = (self._codes, self._texts, self._captions)
        if self._device == device:
            return True
        if device.type != "cpu" and not fits(
            [part.rows for part in parts], device, what="codes and captions"
        ):
            return False
        self._resident = tuple(part.to(device) for part in parts)
        self._device = device
        return True

    def inputs(self, rows: np.ndarray) -> StepInputs:
        """Say which batch of fixed shape `gathered` is to gather."""
        assert self._device is not None
        return StepInputs(
            (pinned(torch.from_numpy(np.asarray(rows)), self._device),), self._width(rows, True)
        )

    def gathered(self, inputs: StepInputs, generator: torch.Generator) -> Batch:
        """Gather a batch where everything is kept, by the step's generator there, without waiting."""
        (which,), width = inputs.tensors, inputs.key
        assert isinstance(width, int)
        codes, texts, captions = self._resident
        text = self._chosen(which, generator, captions)
        return self._gathered(which, text, codes, texts, tokens=width, words=self._most)

    def _width(self, rows: np.ndarray, fixed: bool) -> int:
        longest = max(len(self.codes[i]) for i in rows)
        return bucket(longest, most=max(map(len, self.codes))) if fixed else longest

    @staticmethod
    def _chosen(which: Tensor, generator: torch.Generator, captions: Ragged) -> Tensor:
        """Numbers of a random caption's text for each clip, [B]."""
        numbers = uniform((len(which),), generator, which.device).double()
        return captions.rows[captions.starts[which] + (numbers * captions.lengths[which]).long()]

    def _gathered(
        self, which: Tensor, text: Tensor, codes: Ragged, texts: Ragged, *, tokens: int, words: int
    ) -> Batch:
        found = texts.take(text, words)
        return codes.take(which, tokens), found[:, 0] if self._vectors else found, codes.lengths[which]
