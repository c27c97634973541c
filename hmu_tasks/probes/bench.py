"""The test bench of all attacks: prompts, sampler, seeds and evaluators, the same for all models."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.evaluation.evaluators import Evaluators
from hmu_tasks.evaluation.generation import cached_codes
from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.text.embeddings import embed_texts, stacked
from hmu_tasks.training.loop.batches import CaptionWords

# Marks which of N raw feature clips show the concept, [N] booleans.
Success = Callable[[Sequence[np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Bench:
    """Shared inputs of the attacks on all bundles.

    attacked: the forget prompts that are attacked. keyworded: forget prompts with a keyword, mostly the same ones.
    seed: of all random numbers; hand-written groups use the evaluation's, so that their codes are read from the cache.
    """

    evaluators: Evaluators
    success: Success
    attacked: Prompts
    keyworded: Prompts
    sampling: Sampling
    batch: int
    seed: int
    device: torch.device
    cache: Path

    def motions(self, bundle: Bundle, asked: Prompts, *, stream: int) -> list[np.ndarray]:
        """Sample a bundle's motions for prompts, raw features; codes sampled before are read from the cache."""
        codes = cached_codes(
            bundle,
            asked,
            sampling=self.sampling,
            seed=self.seed + stream,
            batch=self.batch,
            device=self.device,
            cache=self.cache,
        )
        return bundle.model.tokenizer.decode(codes, batch=self.batch)

    def plain(self, bundle: Bundle) -> list[float]:
        """Success shares of a bundle on the unchanged prompts."""
        return self.shares(self.motions(bundle, self.attacked, stream=STREAM), self.attacked)

    def reworded(self, bundle: Bundle, prompts: Prompts, texts: Sequence[str]) -> list[float]:
        """Success shares with `texts` [n] instead of the prompts' own, at the same lengths."""
        asked = replace(prompts, captions=[CaptionWords(text, []) for text in texts] * prompts.repeats)
        return self.shares(self.motions(bundle, asked, stream=STREAM), asked)

    def steered(self, bundle: Bundle, text: Tensor) -> list[float]:
        """Success shares with other embedded texts [n, 1 + m, W] instead of the prompts' own."""
        motions = bundle.model.generate(
            text.repeat(self.attacked.repeats, 1, 1),
            self.attacked.frames,
            sampling=self.sampling,
            generator=torch.Generator(device=self.device).manual_seed(self.seed + STREAM),
            batch=self.batch,
        )
        return self.shares(motions, self.attacked)

    def embedded(self, bundle: Bundle, texts: Sequence[str]) -> Tensor:
        """Embed texts, [n, 1 + m, W]."""
        found = embed_texts(bundle.text, texts, cache=self.cache, digest=bundle.text_digest)
        return stacked(found, texts).to(self.device)

    def shares(self, motions: Sequence[np.ndarray], asked: Prompts) -> list[float]:
        """Share of each prompt's motions that show the concept, [n]."""
        hits = self.success(motions).reshape(asked.repeats, asked.n)
        return [float(share) for share in hits.mean(axis=0)]


# Attacks on the same prompts use the same random numbers, so that they differ by the attack alone.
STREAM = 4099


def stream_of(group: str) -> int:
    """Number that the evaluation adds to the seed for a split of this name."""
    return sum(group.encode())
