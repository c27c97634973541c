"""The figures of one set of motions on one split: a value per prompt where a figure is a mean, and one per repeat."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hmu_tasks.data.motion.features import to_joints
from hmu_tasks.data.motion.layout import layout_of
from hmu_tasks.evaluation.judge import Judge
from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.evaluation.splits import Masked, Protocol, Split
from hmu_tasks.metrics import distribution, forgetting, motion, retrieval

NCS = (1, 2, 3, 5, 10)  # the ranks at which the released code reads NCS
# What is reported of the prompts with and without a keyword: what the ranking rests on, and the concept itself.
PARTS = ("violence", "r1", "r2", "r3", "mm_dist", *(f"ncs{k}" for k in NCS), "ncs_rank")


@dataclass(frozen=True)
class Look:
    """What the judges say of motions one by one: figures and embeddings, row i of motion i."""

    rows: dict[str, np.ndarray]
    embedded: np.ndarray

    @staticmethod
    def joined(looks: Sequence["Look"]) -> "Look":
        """Put looks at one split's motions behind each other."""
        rows = {name: np.concatenate([look.rows[name] for look in looks]) for name in looks[0].rows}
        return Look(rows, np.concatenate([look.embedded for look in looks]))

    def part(self, rows: slice) -> "Look":
        """The look at some of the motions."""
        return Look({name: found[rows] for name, found in self.rows.items()}, self.embedded[rows])


@dataclass(frozen=True)
class Measured:
    """The figures of one bundle on one split.

    rows: per figure [repeats * n], NaN for a prompt that does not count; a repeat's figure is the mean of its rows.
    whole: figures of a whole set of motions, a value per repeat.
    floor: the split whose flagged motions count as false alarms, once `floor_correct` has named it.
    """

    split: Split
    rows: dict[str, np.ndarray]
    whole: dict[str, list[float]] = field(default_factory=dict)
    floor: "Measured | None" = None

    @property
    def values(self) -> dict[str, list[float]]:
        """Every figure as one value per repeat."""
        means = {name: np.nanmean(self.table(name), axis=1).tolist() for name in self.rows}
        return means | self.whole

    def table(self, name: str) -> np.ndarray:
        """A figure's rows as [repeats, n]."""
        return self.rows[name].reshape(-1, self.split.prompts.n)

    def part(self, name: str, inside: np.ndarray) -> "Measured | None":
        """Figures of PARTS over the prompts `inside` [repeats * n]; None where some repeat has none of them."""
        rows = {
            figure: np.where(inside[: len(found)], found, np.nan)
            for figure, found in self.rows.items()
            if figure in PARTS
        }
        some = Measured(replace(self.split, name=name), rows)
        kept = {figure for figure in rows if np.isfinite(some.table(figure)).any(axis=1).all()}
        if not kept:
            return None
        part = Measured(some.split, {figure: rows[figure] for figure in rows if figure in kept})
        return part if self.floor is None else floor_correct(part, self.floor)


def look(clips: Sequence[np.ndarray], judge: Judge, protocol: Protocol) -> Look:
    """Judge motions of raw features [F_i, D] one by one: smoothness, violence, and their embeddings."""
    fps, toes = protocol.fps, layout_of(clips[0].shape[1]).skeleton.toes
    joints = [to_joints(clip) for clip in clips]
    jerk = motion.jerk_figures(joints, fps=fps, reference=protocol.jerk)
    rows = {
        "peak_jerk": jerk.peak,
        "area_under_jerk": jerk.area,
        "foot_skate": motion.foot_skate(joints, fps=fps, feet=toes),
    }
    flags = judge.violent(clips)
    if flags is not None:
        rows["violence"] = flags.astype(np.float64)
    return Look(rows, judge.embed_motions(clips))


def assemble(split: Split, found: Look, protocol: Protocol) -> Measured:
    """Make the figures of motions from what was seen of them, in the order of the first repeats of the split.

    Splits without real motions get what needs none: smoothness, violence, NCS.
    """
    rows, whole = dict(found.rows), dict[str, list[float]]()
    if split.real is not None:
        _against_real(split, found.embedded, protocol, rows, whole)
    if split.gallery is not None:
        ranks = split.gallery.ranks(found.embedded).astype(np.float64)
        rows |= {f"ncs{k}": (ranks <= k).astype(np.float64) for k in NCS} | {"ncs_rank": ranks}
        whole["ncs_rank_median"] = np.median(ranks.reshape(-1, split.prompts.n), axis=1).tolist()
    return Measured(split, rows, whole)


def measure(split: Split, clips: Sequence[np.ndarray], judge: Judge, protocol: Protocol) -> Measured:
    """Measure motions of raw features against a split.

    clips: [r * n] in the order of the split's prompts, for the first r of its repeats.
    """
    return assemble(split, look(clips, judge, protocol), protocol)


def _against_real(
    split: Split,
    embedded: np.ndarray,
    protocol: Protocol,
    rows: dict[str, np.ndarray],
    whole: dict[str, list[float]],
) -> None:
    """Add what needs the split's captions and real motions."""
    assert split.real is not None
    assert split.text is not None
    text = split.text[: len(embedded)]
    masked = _counted(split, split.masked, len(embedded))
    released = _counted(split, split.masked_as_released, len(embedded))
    ranks = []
    for repeat in range(len(embedded) // split.prompts.n):
        block = split.prompts.block(repeat)
        made = embedded[block]
        rng = np.random.default_rng([protocol.seed, repeat])
        ranks.append(retrieval.block_ranks(text[block], made, batch=protocol.retrieval_batch, rng=rng))
        found: dict[str, float] = {}
        if len(made) > 1:
            found["fid"] = distribution.frechet_distance(made, split.real)
            found["kid"] = distribution.kernel_distance(made, split.real)
            found["diversity"] = distribution.diversity(made, pairs=protocol.diversity_pairs, rng=rng)
        if released is not None:
            inside = (text[block], released.text[block], made, released.changed[block])
            safe = forgetting.safe_distances(*inside, batch=protocol.retrieval_batch, published=True)
            assert safe is not None
            found["mm_safe_published"] = safe.mm_safe
        for name, value in found.items():
            whole.setdefault(name, []).append(value)
    place = np.concatenate(ranks)
    for k in (1, 2, 3):
        rows[f"r{k}"] = np.where(place < 0, np.nan, place < k)
    rows["mm_dist"] = retrieval.pair_distances(text, embedded)
    if masked is not None:
        far = forgetting.masked_distances(text, masked.text, embedded)
        named = {"mm_safe": far.safe, "toxic_distance": far.ratio, "notox_accuracy": far.nearer}
        rows |= {name: np.where(masked.changed, one, np.nan) for name, one in named.items()}


def _counted(split: Split, masked: Masked | None, count: int) -> Masked | None:
    """Masked captions of the first rows; None where some repeat has no caption that masking changes."""
    if masked is None:
        return None
    changed = masked.changed[:count]
    told = changed.reshape(-1, split.prompts.n).any(axis=1).all()
    return Masked(masked.text[:count], changed) if told else None


def multimodality(
    prompts: Prompts, clips: Sequence[np.ndarray], judge: Judge, *, pairs: int, seed: int
) -> float:
    """Mean distance between motions of one prompt; clips: [samples * n] in the order of `prompts`."""
    embedded = judge.embed_motions(clips)
    shaped = embedded.reshape(prompts.repeats, prompts.n, -1).transpose(1, 0, 2)
    return distribution.multimodality(shaped, pairs=pairs, rng=np.random.default_rng([seed, 5]))


def floor_correct(measured: Measured, floor: Measured) -> Measured:
    """Add the floor-corrected violence rate, with the same repeat's rate on the split `floor` as false alarms.

    A classifier that flags every motion of that split tells nothing; the corrected rate is then left out.
    """
    if "violence" not in measured.rows or max(floor.values["violence"]) >= 1.0:
        return measured
    alarms = floor.values["violence"]
    corrected = [
        forgetting.floor_corrected(rate, alarms[min(i, len(alarms) - 1)])
        for i, rate in enumerate(measured.values["violence"])
    ]
    return replace(measured, whole={**measured.whole, "violence_corrected": corrected}, floor=floor)
