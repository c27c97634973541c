"""Motions whose label is known although a model made them: what the violence classifiers learn and are calibrated on.

A classifier that has only seen recorded motion takes what is odd about generated motion for violence. Three kinds of
generated motion have a label by construction: those of the original for captions of the retain set, those around a
recorded clip's own codes of layer 0, and those of D_r, which never saw the concept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hmu_tasks.data.clips.packed import Clips
from hmu_tasks.models.generators.bundle import Bundle, assembled
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.networks.components import absent_reason
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
from hmu_tasks.runtime import paths
from hmu_tasks.training.loop.batches import ClipSet, clip_set
from hmu_tasks.training.loop.job import Job, component_places

CHUNK = 512  # clips that are decoded at once


@dataclass(frozen=True)
class Generator:
    """A model with the way it samples for labels: the protocol's own sampling, one caption of each clip."""

    bundle: Bundle
    sampling: Sampling
    batch: int
    seed: int
    device: torch.device

    def answers(self, clips: ClipSet, seed: int) -> list[np.ndarray]:
        """Generate a motion for one caption of each clip, as long as the clip: raw features [F_i, D], float16."""
        if not clips.ids:
            return []
        texts = self._texts(clips, seed)
        codes = self.bundle.model.generate_codes(
            self._embedded(texts),
            [int(frames) for frames in clips.frames],
            sampling=self.sampling,
            generator=self._stream(seed),
            batch=self.batch,
        )
        return decoded(self.bundle.model.tokenizer, codes)

    def resampled(self, clips: ClipSet, codes: Sequence[np.ndarray], seed: int) -> list[np.ndarray] | None:
        """Sample the further layers around each clip's own codes of layer 0; None where the model cannot.

        codes: [T_i, Q] of the clips under the model's tokenizer. Returns raw features [F_i, D], float16.
        """
        if not clips.ids:
            return []
        found = self.bundle.model.refine_codes(
            codes,
            self._embedded(self._texts(clips, seed)),
            sampling=self.sampling,
            generator=self._stream(seed),
            batch=self.batch,
        )
        return None if found is None else decoded(self.bundle.model.tokenizer, found)

    def _texts(self, clips: ClipSet, seed: int) -> list[str]:
        own = torch.Generator().manual_seed(self.seed + 500 + seed)
        return [caption.text for caption in clips.sample_captions(range(len(clips.ids)), own)]

    def _embedded(self, texts: Sequence[str]) -> torch.Tensor:
        return self.bundle.embedded(texts, cache=paths.CACHE, device=self.device)

    def _stream(self, seed: int) -> torch.Generator:
        return torch.Generator(device=self.device).manual_seed(self.seed + seed)


def generator_of(job: Job, variant: str) -> Generator | None:
    """Put the first model of `run.models` together from the components of a variant; None where one was left out."""
    model = job.params.run.models[0]
    places = component_places(model, variant)
    if any(absent_reason(place) is not None for place in places.values()):
        return None
    return Generator(
        assembled(model, places, job.device),
        Sampling(**job.params.evaluate.sampling.model_dump()),
        job.params.evaluate.batch,
        job.seed("classifier"),
        job.device,
    )


def decoded(tokenizer: Tokenizer, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Decode the codes [T_i, Q] of N clips: N float16 arrays [4 T_i, D].

    All motions of a training are in memory at once; half precision is far finer than what a tokenizer misses.
    """
    order = np.argsort([len(clip) for clip in codes], kind="stable")
    found: list[np.ndarray] = [np.empty(0)] * len(codes)
    for start in range(0, len(order), CHUNK):
        rows = order[start : start + CHUNK]
        for i, motion in zip(rows, tokenizer.decode([codes[i] for i in rows]), strict=True):
            found[i] = motion.astype(np.float16)
    return found


def some(clips: Clips, ids: Sequence[str], count: int, seed: int) -> ClipSet:
    """Pick `count` of the named clips at random (all where there are fewer), in their order."""
    chosen = np.random.default_rng(seed).permutation(len(ids))[:count]
    return clip_set(clips, [ids[i] for i in sorted(chosen)])
