"""One evaluation session: the judges, the splits with their prompts, and the figures of a bundle on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hmu_tasks.data.features import to_joints
from hmu_tasks.evaluation import figures, prompts
from hmu_tasks.evaluation.figures import Protocol, Split, Values
from hmu_tasks.evaluation.generation import draw_codes
from hmu_tasks.evaluation.judge import Judge
from hmu_tasks.models.momask import Progress, Sampling
from hmu_tasks.models.store import Bundle
from hmu_tasks.training.batches import ClipSet

PAIRS = {"forget": "retain", "forget-val": "retain-val"}  # forget split -> the split that gives its floor
FLOORS = {**PAIRS, "explicit": "benign", "implicit": "benign"}


@dataclass(frozen=True)
class Session:
    """Everything that the bundles of one evaluation share."""

    judge: Judge
    protocol: Protocol
    clips: Mapping[str, ClipSet]  # forget, retain, forget-val, retain-val
    splits: Mapping[str, Split]
    sampling: Sampling
    batch: int
    device: torch.device
    cache: Path

    def codes(self, bundle: Bundle, name: str, progress: Progress | None = None) -> list[np.ndarray]:
        """Draw (or read) the codes of a bundle for a split's prompts."""
        return self._draw(bundle, self.splits[name].prompts, name, progress)

    def _draw(
        self, bundle: Bundle, asked: prompts.Prompts, name: str, progress: Progress | None = None
    ) -> list[np.ndarray]:
        return draw_codes(
            bundle,
            asked,
            sampling=self.sampling,
            seed=self.protocol.seed + sum(name.encode()),
            batch=self.batch,
            device=self.device,
            cache=self.cache,
            progress=progress,
        )

    def motions(self, bundle: Bundle, name: str, repeats: int | None = None) -> list[np.ndarray]:
        """Raw features of a bundle's motions for the first `repeats` repeats of a split."""
        codes = self.codes(bundle, name)
        asked = self.splits[name].prompts
        return bundle.model.tokenizer.decode(codes[: (repeats or asked.repeats) * asked.n], batch=self.batch)

    def measure(self, bundle: Bundle, names: Sequence[str], repeats: int | None = None) -> dict[str, Values]:
        """Measure a bundle on some splits, with floor-corrected violence where both splits are there."""
        values = {
            name: figures.measure(
                self.splits[name], self.motions(bundle, name, repeats), self.judge, self.protocol
            )
            for name in names
        }
        for forget, floor in FLOORS.items():
            if forget in values and floor in values:
                figures.floor_correct(values, forget, floor)
        return values

    def multimodality(
        self, bundle: Bundle, name: str, *, count: int, samples: int, pairs: int
    ) -> list[float]:
        """MultiModality of a bundle on a test split, as a list of one value."""
        seed = self.protocol.seed
        asked = prompts.repeated_prompts(self.clips[name], prompts=count, samples=samples, seed=seed)
        motions = bundle.model.tokenizer.decode(self._draw(bundle, asked, f"mm-{name}"), batch=self.batch)
        return [figures.multimodality(asked, motions, self.judge, pairs=pairs, seed=seed)]

    def samples(
        self, bundle: Bundle, rows: Mapping[str, Sequence[int]]
    ) -> list[tuple[dict[str, Any], np.ndarray]]:
        """Joints [F, J, 3] of the motions of repeat 0 for chosen clips of the test splits."""
        found = []
        for name, chosen in rows.items():
            asked = self.splits[name].prompts
            codes = self.codes(bundle, name)
            motions = bundle.model.tokenizer.decode([codes[i] for i in chosen])
            for i, clip in zip(chosen, motions, strict=True):
                label = {
                    "split": name,
                    "prompt": asked.captions[i].text,
                    "clip_id": self.clips[name].ids[i],
                    "frames": len(clip),
                    "fps": self.protocol.fps,
                }
                found.append((label, np.asarray(to_joints(clip), np.float32)))
        return found


def open_session(
    judge: Judge,
    clips: Mapping[str, ClipSet],
    *,
    written: Mapping[str, Sequence[tuple[str, float]]],
    repeats: int,
    val_repeats: int,
    protocol: Protocol,
    sampling: Sampling,
    batch: int,
    device: torch.device,
    cache: Path,
) -> Session:
    """Build the splits: captions of the test and validation clips, and the hand-written prompts."""
    splits: dict[str, Split] = {}
    for name, part in clips.items():
        count = val_repeats if name.endswith("-val") else repeats
        asked = prompts.caption_prompts(part, repeats=count, seed=protocol.seed)
        masked = protocol if name in PAIRS else replace(protocol, mask=None)
        splits[name] = figures.prepare(name, asked, judge, masked, part.features)
    for name, rows in written.items():
        splits[name] = Split(name, prompts.written_prompts(rows, repeats=repeats, fps=protocol.fps))
    return Session(judge, protocol, clips, splits, sampling, batch, device, cache)
