"""Reference data of a split: prompts and real motions in the evaluator's space, and a retrieval gallery."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hmu_tasks.evaluation.evaluators import Evaluators
from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.metrics.inputs import Gallery, Masked
from hmu_tasks.runtime.cache import cached_array
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet


@dataclass(frozen=True)
class Protocol:
    """Fixed choices of the evaluation: retrieval batch, diversity pairs, seed, how captions are masked and read.

    jerk: mean jerk of the real retain motions in m/s³, from which the area under jerk is counted, so that frozen
    motion costs as rough motion does. fps: frames per second of all motions.
    """

    retrieval_batch: int
    diversity_pairs: int
    seed: int
    jerk: float
    mask: Callable[[str], str] | None = None  # token string -> token string with the concept's words masked
    fps: float = 20.0
    keyword: Callable[[Sequence[CaptionWords]], np.ndarray] | None = (
        None  # which captions speak of the concept, [N] bool
    )
    mask_as_released: Callable[[str], str] | None = (
        None  # the same, within words too: "white" because of "hit"
    )


@dataclass
class Split:
    """A split's prompts with their embeddings, and the real motions to compare with."""

    name: str
    prompts: Prompts
    real: np.ndarray | None = None  # [n, E]; None for hand-written prompts, which have no real motion
    text: np.ndarray | None = None  # [repeats * n, E]
    masked: Masked | None = None
    masked_as_released: Masked | None = None
    keyword: np.ndarray | None = None  # [repeats * n] bool: the caption speaks of the concept
    gallery: Gallery | None = None
    origins: Sequence[str] | None = (
        None  # [n] what each clip was made from: a clip and its mirror image have one
    )

    @property
    def clusters(self) -> np.ndarray:
        """Number of the origin of each prompt of one repeat, [n]; prompts without a clip stand alone."""
        if self.origins is None:
            return np.arange(self.prompts.n)
        return np.unique(np.asarray(self.origins), return_inverse=True)[1]


def prepare(
    name: str,
    prompts: Prompts,
    evaluators: Evaluators,
    protocol: Protocol,
    real: Sequence[np.ndarray] | None,
    *,
    cache: Path,
) -> Split:
    """Embed what does not depend on the model: real motions, captions, masked captions; cached for other models."""
    split = Split(name, prompts)
    if real is None:
        return split
    split.real = _embedded(evaluators, cache, {"motions": list(real)}, lambda: evaluators.embed_motions(real))
    tokens = [caption.tokens for caption in prompts.captions]
    split.text = _captions(tokens, evaluators, cache)
    if protocol.keyword is not None:
        split.keyword = protocol.keyword(prompts.captions)
    split.masked = _masked(tokens, protocol.mask, evaluators, cache)
    split.masked_as_released = _masked(tokens, protocol.mask_as_released, evaluators, cache)
    return split


def _embedded(
    evaluators: Evaluators, cache: Path, inputs: Mapping[str, object], make: Callable[[], np.ndarray]
) -> np.ndarray:
    """Embeddings that every evaluation needs and the first one makes."""
    by = {"evaluator": evaluators.digest, "device": evaluators.mean.device.type}
    return cached_array(cache, "embedded", {**by, **inputs}, make, code=("models", "evaluation"))


def _captions(tokens: Sequence[Sequence[str]], evaluators: Evaluators, cache: Path) -> np.ndarray:
    return _embedded(evaluators, cache, {"captions": list(tokens)}, lambda: evaluators.embed_captions(tokens))


def _masked(
    tokens: Sequence[list[str]], mask: Callable[[str], str] | None, evaluators: Evaluators, cache: Path
) -> Masked | None:
    if mask is None:
        return None
    found = [mask(" ".join(row)).split() for row in tokens]
    changed = np.array([a != b for a, b in zip(tokens, found, strict=True)])
    return Masked(_captions(found, evaluators, cache), changed)


def gather(
    parts: Sequence[tuple[Split, ClipSet]], keyword: Callable[[Sequence[CaptionWords]], np.ndarray]
) -> Gallery | None:
    """Collect the real motions of splits; one is violent if any of its captions names the concept.

    None if no motion is violent: nothing could be retrieved.
    """
    real = [split.real for split, _ in parts if split.real is not None]
    rows = [captions for _, clips in parts for captions in clips.captions]
    owners = np.repeat(np.arange(len(rows)), [len(captions) for captions in rows])
    hits = keyword([caption for captions in rows for caption in captions])
    violent = np.bincount(owners[hits], minlength=len(rows)) > 0
    return Gallery(np.concatenate(real), violent) if violent.any() else None
