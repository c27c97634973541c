"""Clips and captions in the form that training loops read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.data.clips.packed import Clips
from hmu_tasks.models.networks.lengths import UNIT


@dataclass(frozen=True)
class CaptionWords:
    """One caption and its `word/POS` tokens."""

    text: str
    tokens: list[str]


@dataclass(frozen=True)
class ClipSet:
    """Clips with their captions: raw features (memory-mapped, cut to whole tokens) in the order of `ids`."""

    ids: list[str]
    features: list[np.ndarray]
    captions: list[list[CaptionWords]]

    @property
    def frames(self) -> np.ndarray:
        """Lengths in frames, [N]."""
        return np.array([len(f) for f in self.features])

    def padded(self, rows: Sequence[int] | np.ndarray, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        """Return normalised features [B, F, D], zero beyond each clip's end, and lengths in frames [B]."""
        lengths = torch.tensor([len(self.features[i]) for i in rows])
        out = torch.zeros(len(rows), int(lengths.max()), len(mean))
        for b, i in enumerate(rows):
            out[b, : lengths[b]] = (torch.from_numpy(np.array(self.features[i])) - mean) / std
        return out, lengths

    def windows(
        self, rows: np.ndarray, window: int, generator: torch.Generator, mean: Tensor, std: Tensor
    ) -> Tensor:
        """Cut a random window from each clip, normalised, [B, window, D]; a short clip repeats its last frame."""
        starts = torch.rand(len(rows), generator=generator).tolist()
        cut = np.empty((len(rows), window, len(mean)), np.float32)
        for b, (i, place) in enumerate(zip(rows, starts, strict=True)):
            clip = self.features[i]
            start = int(place * (max(len(clip) - window, 0) + 1))
            piece = clip[start : start + window]
            cut[b, : len(piece)] = piece
            cut[b, len(piece) :] = piece[-1]
        return (torch.from_numpy(cut) - mean) / std

    def sample_captions(
        self, rows: Sequence[int] | np.ndarray, generator: torch.Generator
    ) -> list[CaptionWords]:
        """Choose a random caption of each clip."""
        numbers = torch.rand(len(rows), generator=generator).tolist()
        return [
            self.captions[i][int(number * len(self.captions[i]))]
            for i, number in zip(rows, numbers, strict=True)
        ]


def clip_set(clips: Clips, ids: Sequence[str]) -> ClipSet:
    """Collect the named clips, captions in the dataset's order."""
    captions: dict[str, list[CaptionWords]] = {i: [] for i in ids}
    for clip_id, text, tokens in clips.caption_rows():
        if clip_id in captions:
            captions[clip_id].append(CaptionWords(text, tokens.split(" ") if tokens else []))
    features = []
    for i in ids:
        raw = clips.features(i)
        features.append(raw[: len(raw) // UNIT * UNIT])
    return ClipSet(list(ids), features, [captions[i] for i in ids])
