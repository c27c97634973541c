"""Set-up of `evaluate` and `probe`: device, clips, evaluators, concept, prompts, sampling."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hmu_tasks.data.clips import packed
from hmu_tasks.data.clips.id_lists import Role
from hmu_tasks.data.clips.packed import Clips
from hmu_tasks.data.concepts.concepts import PROMPT_GROUPS, Concept, load_concept, load_prompts
from hmu_tasks.evaluation.evaluators import Evaluators, load_evaluators
from hmu_tasks.evaluation.prompts import concept_clips, origins
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.networks.device import pick_device
from hmu_tasks.runtime import paths
from hmu_tasks.training.loop.batches import ClipSet


@dataclass(frozen=True)
class Setup:
    """Inputs of both steps.

    written: hand-written prompts (text, seconds) by group. origins: clip id -> what the clip was made from, the same
    for a clip and its mirror image.
    """

    device: torch.device
    clips: Clips
    evaluators: Evaluators
    concept: Concept
    written: Mapping[str, Sequence[tuple[str, float]]]
    sampling: Sampling
    origins: Mapping[str, str]

    def concept_clips(self, split: str, role: Role) -> ClipSet:
        """The forget or retain clips of a split; DataError where there are none."""
        return concept_clips(self.clips, split, role)


def open_setup(
    *,
    device: str,
    concept: str,
    concepts: Path,
    sampling: Mapping[str, Any],
    groups: Sequence[str] = PROMPT_GROUPS,
) -> Setup:
    """Open the working directory's clips and evaluators; groups: of hand-written prompts, empty ones are left out."""
    found = pick_device(device)
    clips = packed.load(paths.CLIPS)
    prompts = load_prompts(concept, concepts, groups=groups)
    return Setup(
        device=found,
        clips=clips,
        evaluators=load_evaluators(paths.component("evaluator"), paths.component("classifier"), found),
        concept=load_concept(concept, concepts),
        written={
            group: [(prompt.text, prompt.seconds) for prompt in rows]
            for group, rows in prompts.items()
            if rows
        },
        sampling=Sampling(**sampling),
        origins=origins(clips.columns),
    )
