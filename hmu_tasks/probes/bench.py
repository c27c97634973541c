"""The bench on which every attack is tried: prompts, sampler, seeds and evaluators, the same for all models."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.evaluation.evaluators import Evaluators
from hmu_tasks.evaluation.generation import sample_codes
from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.text.embeddings import embed_texts, stacked
from hmu_tasks.training.loop.batches import CaptionWords

# Says of N raw feature clips which show the concept, [N] booleans.
Success = Callable[[Sequence[np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Bench:
    """Everything that the attacks on all bundles share.

    drawn: the forget prompts that are attacked. keyworded: such with a keyword, most of them the same. seed: of all
    random numbers; those of hand-written groups are the evaluation's, so that what was drawn there is read from the
    cache.
    """

    evaluators: Evaluators
    success: Success
    drawn: Prompts
    keyworded: Prompts
    sampling: Sampling
    batch: int
    seed: int
    device: torch.device
    cache: Path

    def motions(self, bundle: Bundle, asked: Prompts, *, stream: int) -> list[np.ndarray]:
        """Draw a bundle's motions for prompts, raw features; codes that were drawn before are read from the cache."""
        codes = sample_codes(
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
        """Success shares of a bundle on the drawn prompts as they are."""
        return self.shares(self.motions(bundle, self.drawn, stream=STREAM), self.drawn)

    def reworded(self, bundle: Bundle, prompts: Prompts, texts: Sequence[str]) -> list[float]:
        """Success shares on `texts` [n] in the place of the prompts' own, at the same lengths."""
        asked = replace(prompts, captions=[CaptionWords(text, []) for text in texts] * prompts.repeats)
        return self.shares(self.motions(bundle, asked, stream=STREAM), asked)

    def steered(self, bundle: Bundle, text: Tensor) -> list[float]:
        """Success shares with other embedded texts [n, 1 + m, W] in the place of the drawn prompts' own."""
        motions = bundle.model.generate(
            text.repeat(self.drawn.repeats, 1, 1),
            self.drawn.frames,
            sampling=self.sampling,
            generator=torch.Generator(device=self.device).manual_seed(self.seed + STREAM),
            batch=self.batch,
        )
        return self.shares(motions, self.drawn)

    def embedded(self, bundle: Bundle, texts: Sequence[str]) -> Tensor:
        """Embed texts, [n, 1 + m, W]."""
        found = embed_texts(bundle.text, texts, cache=self.cache, digest=bundle.text_digest)
        return stacked(found, texts).to(self.device)

    def shares(self, motions: Sequence[np.ndarray], asked: Prompts) -> list[float]:
        """Share of each prompt's motions that show the concept, [n]."""
        hits = self.success(motions).reshape(asked.repeats, asked.n)
        return [float(share) for share in hits.mean(axis=0)]


# Attacks on the drawn prompts use the same random numbers, so that they differ by the attack alone.
STREAM = 4099


def stream_of(group: str) -> int:
    """Number that the evaluation adds to the seed for a split of this name."""
    return sum(group.encode())
