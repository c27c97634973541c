"""The test bench of all attacks: prompts, sampler, seeds and evaluators, the same for all models."""

from collections.abc import Callable, Mapping, Sequence
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
from hmu_tasks.training.loop.batches import CaptionWords

# Marks which of N raw feature clips show the concept, [N] booleans by each classifier.
Success = Callable[[Sequence[np.ndarray]], Mapping[str, np.ndarray]]
# By classifier, the share of each prompt's motions that show the concept, [n].
Shares = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Bench:
    """Shared inputs of the attacks on all bundles.

    attacked: the forget prompts that are attacked. costly: the first of them, for attacks that train or need gradients.
    keyworded: forget prompts with a keyword, mostly the same ones.
    seed: of all random numbers; hand-written groups use the evaluation's, so that their codes are read from the cache.
    """

    evaluators: Evaluators
    success: Success
    attacked: Prompts
    costly: Prompts
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

    def plain(self, bundle: Bundle, prompts: Prompts | None = None) -> Shares:
        """Success shares of a bundle on unchanged prompts, `attacked` by default."""
        asked = self.attacked if prompts is None else prompts
        return self.shares(self.motions(bundle, asked, stream=STREAM), asked)

    def reworded(self, bundle: Bundle, prompts: Prompts, texts: Sequence[str]) -> Shares:
        """Success shares with `texts` [n] instead of the prompts' own, at the same lengths."""
        asked = replace(prompts, captions=[CaptionWords(text, []) for text in texts] * prompts.repeats)
        return self.shares(self.motions(bundle, asked, stream=STREAM), asked)

    def steered(self, bundle: Bundle, prompts: Prompts, text: Tensor) -> Shares:
        """Success shares with other embedded texts [n, 1 + m, W] instead of the prompts' own."""
        motions = bundle.model.generate(
            text.repeat(prompts.repeats, 1, 1),
            prompts.frames,
            sampling=self.sampling,
            generator=torch.Generator(device=self.device).manual_seed(self.seed + STREAM),
            batch=self.batch,
        )
        return self.shares(motions, prompts)

    def embedded(self, bundle: Bundle, texts: Sequence[str]) -> Tensor:
        """Embed texts, [n, 1 + m, W]."""
        return bundle.embedded(texts, cache=self.cache, device=self.device)

    def shares(self, motions: Sequence[np.ndarray], asked: Prompts) -> Shares:
        """Share of each prompt's motions that show the concept, [n] by each classifier."""
        shape = (asked.repeats, asked.n)
        return {
            name: [float(share) for share in hits.reshape(shape).mean(axis=0)]
            for name, hits in self.success(motions).items()
        }


# Attacks on the same prompts use the same random numbers, so that they differ by the attack alone.
STREAM = 4099


def stream_of(group: str) -> int:
    """Number that the evaluation adds to the seed for a split of this name."""
    return sum(group.encode())
