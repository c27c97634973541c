"""The figures of one set of motions on one split, one value per repeat, and their records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hmu_tasks.data.features import to_joints
from hmu_tasks.data.layout import layout_of
from hmu_tasks.evaluation.judge import Judge
from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.metrics import distribution, forgetting, motion, retrieval
from hmu_tasks.metrics.stats import repeat_interval

Values = dict[str, list[float]]


@dataclass(frozen=True)
class Protocol:
    """Fixed choices of the evaluation: retrieval batch, diversity pairs, seed, how captions are masked.

    jerk: mean jerk of the real retain motions in m/s³, from which the area under jerk is counted, so that frozen
    motion costs as rough motion does. fps: frames per second of all motions.
    """

    retrieval_batch: int
    diversity_pairs: int
    seed: int
    jerk: float
    mask: Callable[[str], str] | None = None  # token string -> token string with the concept's words masked
    fps: float = 20.0


@dataclass
class Split:
    """A split's prompts with their embeddings, and the real motions to compare with."""

    name: str
    prompts: Prompts
    real: np.ndarray | None = None  # [n, E]; None for hand-written prompts, which have no real motion
    text: np.ndarray | None = None  # [repeats * n, E]
    masked: np.ndarray | None = None  # [repeats * n, E]
    changed: np.ndarray | None = None  # [repeats * n] bool
    n_of: dict[str, int] = field(default_factory=dict)


def prepare(
    name: str, prompts: Prompts, judge: Judge, protocol: Protocol, real: Sequence[np.ndarray] | None
) -> Split:
    """Embed what does not depend on the model: real motions, captions, masked captions."""
    split = Split(name, prompts)
    if real is None:
        return split
    split.real = judge.embed_motions(real)
    tokens = [caption.tokens for caption in prompts.captions]
    split.text = judge.embed_captions(tokens)
    if protocol.mask is not None:
        masked = [protocol.mask(" ".join(row)).split() for row in tokens]
        split.masked = judge.embed_captions(masked)
        split.changed = np.array([a != b for a, b in zip(tokens, masked, strict=True)])
    return split


def measure(split: Split, clips: Sequence[np.ndarray], judge: Judge, protocol: Protocol) -> Values:
    """Measure motions of raw features against a split, one value per repeat and metric.

    clips: [r * n] in the order of the split's prompts, for the first r of its repeats.

    Splits without real motions get the violence rate and smoothness only.
    """
    values: Values = {}
    prompts = split.prompts
    embedded = judge.embed_motions(clips) if split.real is not None else None
    flags = judge.violent(clips)
    joints = [to_joints(clip) for clip in clips]
    fps, toes = protocol.fps, layout_of(clips[0].shape[1]).skeleton.toes
    peaks, skate = motion.peak_jerk(joints, fps=fps), motion.foot_skate(joints, fps=fps, feet=toes)
    areas = motion.area_under_jerk(joints, fps=fps, reference=protocol.jerk)
    for repeat in range(len(clips) // prompts.n):
        rows = prompts.block(repeat)
        found: dict[str, float] = {
            "peak_jerk": float(peaks[rows].mean()),
            "area_under_jerk": float(areas[rows].mean()),
            "foot_skate": float(skate[rows].mean()),
        }
        if flags is not None:
            found["violence"] = float(flags[rows].mean())
        if embedded is not None:
            found |= _against_real(split, embedded[rows], rows, repeat, protocol)
        for name, value in found.items():
            values.setdefault(name, []).append(value)
    return values


def _against_real(
    split: Split, embedded: np.ndarray, rows: slice, repeat: int, protocol: Protocol
) -> dict[str, float]:
    assert split.real is not None
    assert split.text is not None
    text = split.text[rows]
    rng = np.random.default_rng([protocol.seed, repeat])
    ranks = retrieval.r_precision(text, embedded, batch=protocol.retrieval_batch, rng=rng)
    found = {f"r{k + 1}": value for k, value in enumerate(ranks)}
    found["mm_dist"] = retrieval.multimodal_distance(text, embedded)
    if len(embedded) > 1:
        found["fid"] = distribution.frechet_distance(embedded, split.real)
        found["kid"] = distribution.kernel_distance(embedded, split.real)
        found["diversity"] = distribution.diversity(embedded, pairs=protocol.diversity_pairs, rng=rng)
    if split.masked is not None and split.changed is not None:
        masked = (text, split.masked[rows], embedded, split.changed[rows])
        honest = forgetting.safe_distances(*masked)
        released = forgetting.safe_distances(*masked, batch=protocol.retrieval_batch, published=True)
        if honest is not None and released is not None:
            found["mm_safe"] = honest.mm_safe
            found["mm_safe_published"] = released.mm_safe
            split.n_of["mm_safe"] = honest.n
    return found


def multimodality(
    prompts: Prompts, clips: Sequence[np.ndarray], judge: Judge, *, pairs: int, seed: int
) -> float:
    """Mean distance between motions of one prompt; clips: [samples * n] in the order of `prompts`."""
    embedded = judge.embed_motions(clips)
    shaped = embedded.reshape(prompts.repeats, prompts.n, -1).transpose(1, 0, 2)
    return distribution.multimodality(shaped, pairs=pairs, rng=np.random.default_rng([seed, 5]))


def floor_correct(values: Mapping[str, Values], forget: str, retain: str) -> None:
    """Add the floor-corrected violence rate to a forget split, with the same repeat's retain split as the floor.

    A classifier that flags every retain motion tells nothing; the corrected rate is then left out.
    """
    if "violence" not in values[forget]:
        return
    floors = values[retain]["violence"]
    if max(floors) >= 1.0:
        return
    values[forget]["violence_corrected"] = [
        forgetting.floor_corrected(rate, floors[min(i, len(floors) - 1)])
        for i, rate in enumerate(values[forget]["violence"])
    ]


def records(
    values: Mapping[str, Sequence[float]], split: Split, identity: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Turn values per repeat into records with mean, interval, n and repeats."""
    rows = []
    for name, found in values.items():
        interval = repeat_interval(found, n=split.n_of.get(name, split.prompts.n))
        alone = len(found) == 1  # one repeat has no spread
        rows.append(
            {
                **identity,
                "split": split.name,
                "metric": name,
                "mean": interval.mean,
                "low": None if alone else interval.low,
                "high": None if alone else interval.high,
                "n": interval.n,
                "repeats": len(found),
                "values": [float(v) for v in found],
            }
        )
    return rows
