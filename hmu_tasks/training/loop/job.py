"""One training job, and what several trainers read: splits, statistics, codes and embedded texts."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.data.clips.id_lists import read_ids
from hmu_tasks.data.clips.packed import Clips
from hmu_tasks.data.motion.normalisation import emphasise
from hmu_tasks.models import model_named
from hmu_tasks.models.networks.device import pick_device
from hmu_tasks.models.networks.sections import Training
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.progress import Progress
from hmu_tasks.training.loop.batches import ClipSet, clip_set
from hmu_tasks.training.loop.fit import FitOptions, Schedule
from hmu_tasks.training.loop.history import Curves

if TYPE_CHECKING:
    from hmu_tasks.config.params import Params

TRAINING_STEP = 100_003
"""Between the seeds of two trainings, more than the seeds of a training's components are apart."""


@dataclass(frozen=True)
class Job:
    """One training job.

    variant: `full`, `retrain`, or None for a component without variants. folder: to be filled with the component.
    checkpoint: file of its resumable state. progress: called with (steps done, steps in all). curves: called with new
    points of the curves. training: number of the training of the models, part of the seed; 0 for what they share.
    """

    params: "Params"
    variant: str | None
    folder: Path
    checkpoint: Path
    progress: Progress | None
    curves: Curves | None = None
    training: int = 0

    @property
    def device(self) -> torch.device:
        """Device to train on."""
        return pick_device(self.params.run.device)

    def seed(self, name: str, offset: int = 0) -> int:
        """Seed of a component, the same for both of its variants; offset: for another seed of this component alone."""
        return self.params.run.seed + sum(name.encode()) + offset + TRAINING_STEP * self.training

    def common(
        self, name: str, knobs: Training, *, evaluations: int = 10, offset: int = 0, **more: Any
    ) -> FitOptions:
        """Arguments that every trainer takes."""
        schedule = Schedule(
            steps=knobs.steps,
            batch=knobs.batch,
            rate=knobs.rate,
            evaluate_every=max(knobs.steps // evaluations, 1),
            **more,
        )
        return {
            "schedule": schedule,
            "seed": self.seed(name, offset),
            "device": self.device,
            "checkpoint": self.checkpoint,
            "progress": self.progress,
            "curves": self.curves,
        }


def component_places(model: str, variant: str) -> dict[str, Path]:
    """Folder of the trained component behind each part of a model; the text encoder serves both variants."""
    return {
        part: paths.component(component, None if part == "text" else variant)
        for part, component in model_named(model).components.items()
    }


def split_of(clips: Clips, split: str, variant: str | None) -> ClipSet:
    """Clips of a split: all of them, or those of the retain set."""
    ids = read_ids(paths.SPLIT, split, "retain") if variant == "retrain" else clips.ids(split)
    return clip_set(clips, ids)


def statistics(clips: Clips, bias: float = 1.0) -> tuple[Tensor, Tensor]:
    """Mean and std as float32 tensors; root and contact dimensions weigh `bias` times more."""
    std = emphasise(np.maximum(np.array(clips.std, np.float32), 1e-4), feature_bias=bias)
    return torch.from_numpy(np.array(clips.mean, np.float32)), torch.from_numpy(std)
