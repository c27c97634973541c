"""The measurements of one bundle on one split: a value per prompt where a metric is a mean, and one per repeat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hmu_tasks.data.motion.layout import layout_of
from hmu_tasks.evaluation.evaluators import Evaluators
from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.evaluation.splits import Protocol, Split
from hmu_tasks.metrics import metric, metrics
from hmu_tasks.metrics.inputs import Embedded, Influence, Masked, Motions, Repeated


@dataclass(frozen=True)
class Scores:
    """Per-motion metrics and embeddings, row i of motion i."""

    rows: dict[str, np.ndarray]
    embedded: np.ndarray

    @staticmethod
    def joined(scores: Sequence["Scores"]) -> "Scores":
        """Put the scores of one split's motions behind each other."""
        rows = {name: np.concatenate([one.rows[name] for one in scores]) for name in scores[0].rows}
        return Scores(rows, np.concatenate([one.embedded for one in scores]))

    def part(self, rows: slice) -> "Scores":
        """The scores of some of the motions."""
        return Scores({name: found[rows] for name, found in self.rows.items()}, self.embedded[rows])


@dataclass(frozen=True)
class Measured:
    """The metrics of one bundle on one split.

    rows: per metric [repeats * n], NaN for a prompt that does not count; a repeat's value is the mean of its rows.
    whole: metrics of a whole set of motions, a value per repeat; influence: how each motion moves them, where known.
    """

    split: Split
    rows: dict[str, np.ndarray]
    whole: dict[str, list[float]] = field(default_factory=dict)
    influence: dict[str, Influence] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, list[float]]:
        """Every metric as one value per repeat."""
        means = {name: np.nanmean(self.table(name), axis=1).tolist() for name in self.rows}
        return means | self.whole

    def table(self, name: str) -> np.ndarray:
        """A metric's rows as [repeats, n]."""
        return self.rows[name].reshape(-1, self.split.prompts.n)

    def part(self, name: str, inside: np.ndarray) -> "Measured | None":
        """Metrics over the prompts `inside` [repeats * n]; None where some repeat has none of them."""
        rows = {
            key: np.where(inside[: len(found)], found, np.nan)
            for key, found in self.rows.items()
            if metric(key).by_keyword
        }
        some = Measured(replace(self.split, name=name, sample=self.split.name), rows)
        kept = {key for key in rows if np.isfinite(some.table(key)).any(axis=1).all()}
        if not kept:
            return None
        return Measured(some.split, {key: rows[key] for key in rows if key in kept})

    def add(self, whole: "Whole") -> None:
        """Add metrics of further motions of the split."""
        self.whole.update(whole.values)
        self.influence.update(whole.influence)


@dataclass(frozen=True)
class Whole:
    """Metrics of a whole set of motions: a value per repeat, and how each motion moves it where that is known."""

    values: dict[str, list[float]]
    influence: dict[str, Influence]


def computed(source: object, *, whole: bool) -> Mapping[str, np.ndarray]:
    """Compute every metric that reads this kind of object and has what it needs, in the order of METRICS."""
    found = {}
    for name, one in metrics().items():
        if one.whole == whole and isinstance(source, one.reads):
            values = one.compute(source)
            if values is not None:
                found[name] = np.asarray(values, dtype=np.float64)
    return found


def score(clips: Sequence[np.ndarray], evaluators: Evaluators, protocol: Protocol) -> Scores:
    """Measure motions of raw features [F_i, D] one by one, and embed them."""
    motions = Motions(
        joints=evaluators.joints(clips),
        fps=protocol.fps,
        feet=layout_of(clips[0].shape[1]).skeleton.toes,
        jerk=protocol.jerk,
        flagged=evaluators.flagged(clips),
    )
    return Scores(dict(computed(motions, whole=False)), evaluators.embed_motions(clips))


def assemble(split: Split, scores: Scores, protocol: Protocol) -> Measured:
    """Measure a split from the scores of its motions, which are in the order of the first repeats of its prompts.

    Splits without real motions get the metrics that need none.
    """
    count = len(scores.embedded)
    found = Embedded(
        embedded=scores.embedded,
        n=split.prompts.n,
        seed=protocol.seed,
        retrieval_batch=protocol.retrieval_batch,
        diversity_pairs=protocol.diversity_pairs,
        text=None if split.text is None else split.text[:count],
        real=split.real,
        masked=_counted(split, split.masked, count),
        masked_as_released=_counted(split, split.masked_as_released, count),
        gallery=split.gallery,
    )
    whole = _whole(found)
    return Measured(split, {**scores.rows, **computed(found, whole=False)}, whole.values, whole.influence)


def measure(
    split: Split, clips: Sequence[np.ndarray], evaluators: Evaluators, protocol: Protocol
) -> Measured:
    """Measure motions of raw features against a split.

    clips: [r * n] in the order of the split's prompts, for the first r of its repeats.
    """
    return assemble(split, score(clips, evaluators, protocol), protocol)


def _whole(source: object) -> Whole:
    values = {name: found.tolist() for name, found in computed(source, whole=True).items()}
    moving = {name: metric(name).influence for name in values}
    return Whole(values, {name: of(source) for name, of in moving.items() if of is not None})


def _counted(split: Split, masked: Masked | None, count: int) -> Masked | None:
    """Masked captions of the first rows; None where some repeat has no caption that masking changes."""
    if masked is None:
        return None
    changed = masked.changed[:count]
    told = changed.reshape(-1, split.prompts.n).any(axis=1).all()
    return Masked(masked.text[:count], changed) if told else None


def repeated(
    prompts: Prompts,
    clips: Sequence[np.ndarray],
    evaluators: Evaluators,
    *,
    pairs: int,
    seed: int,
    clusters: np.ndarray | None = None,
) -> Whole:
    """Metrics of several motions of each prompt; clips: [samples * n] in the order of `prompts`, clusters: [n]."""
    embedded = evaluators.embed_motions(clips)
    shaped = embedded.reshape(prompts.repeats, prompts.n, -1).transpose(1, 0, 2)
    return _whole(Repeated(shaped, pairs=pairs, seed=seed, clusters=clusters))
