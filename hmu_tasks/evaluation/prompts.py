"""Prompt sets: captions of test clips with their lengths, and hand-written prompts that no template produces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hmu_tasks.data.clips.id_lists import Role, id_list, read_ids
from hmu_tasks.data.clips.packed import Clips
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet, clip_set


@dataclass(frozen=True)
class Prompts:
    """Rows of prompts: `repeats` blocks of `n`, each with text, tokens and length in frames.

    rows[r * n + i] belongs to clip i in repeat r.
    """

    captions: list[CaptionWords]
    frames: list[int]
    n: int
    repeats: int

    @property
    def texts(self) -> list[str]:
        """The prompts' texts, `repeats * n` rows."""
        return [caption.text for caption in self.captions]

    def block(self, repeat: int) -> slice:
        """Rows of one repeat."""
        return slice(repeat * self.n, (repeat + 1) * self.n)

    def only(self, repeat: int) -> "Prompts":
        """The prompts of one repeat."""
        rows = self.block(repeat)
        return Prompts(self.captions[rows], self.frames[rows], self.n, 1)


def origins(clips: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Clip id -> its raw clip, for a mirror image that of its twin; clips that share one are not independent.

    clips: columns clip_id, source, mirror_of.
    """
    source = dict(zip(clips["clip_id"], clips["source"], strict=True))
    twins = zip(clips["clip_id"], clips["mirror_of"], strict=True)
    return {clip: source[twin] if isinstance(twin, str) else source[clip] for clip, twin in twins}


def concept_clips(clips: Clips, split: str, role: Role) -> ClipSet:
    """Collect the forget or retain clips (`role`) of a split; raises DataError where there are none."""
    ids = read_ids(paths.SPLIT, split, role)
    if not ids:
        path = id_list(paths.SPLIT, split, role)
        raise DataError(
            f"{path} is empty: there is no {role} clip to take prompts from; choose another concept or split"
        )
    return clip_set(clips, ids)


def caption_prompts(clips: ClipSet, *, repeats: int, seed: int) -> Prompts:
    """Sample one caption of each clip per repeat, to be generated at the clip's own length.

    The sample of repeat r depends on (seed, r) alone, so that more repeats extend fewer.
    """
    captions: list[CaptionWords] = []
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat])
        captions += [row[int(rng.integers(len(row)))] for row in clips.captions]
    return Prompts(captions, [int(f) for f in clips.frames] * repeats, len(clips.ids), repeats)


def written_prompts(rows: Sequence[tuple[str, float]], *, repeats: int, fps: float = 20.0) -> Prompts:
    """Repeat hand-written (text, seconds) prompts; lengths are rounded to whole tokens, from 2 s up to 196 frames."""
    frames = [int(np.clip(round(max(seconds, 2.0) * fps / 4) * 4, 4, 196)) for _, seconds in rows]
    captions = [CaptionWords(text, []) for text, _ in rows]
    return Prompts(captions * repeats, frames * repeats, len(rows), repeats)


def repeated_prompts(clips: ClipSet, *, prompts: int, samples: int, seed: int) -> Prompts:
    """Take the first captions of `prompts` sampled clips, `samples` times each, for multimodality."""
    rng = np.random.default_rng([seed, 77])
    chosen = rng.permutation(len(clips.ids))[:prompts]
    captions = [clips.captions[i][0] for i in chosen]
    return Prompts(captions * samples, [int(clips.frames[i]) for i in chosen] * samples, len(chosen), samples)
