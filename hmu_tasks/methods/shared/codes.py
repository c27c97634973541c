"""Which codes of a tokenizer the forget set uses more than the retain set: counts, scores, rankings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.files import read_object
from hmu_tasks.runtime.tables import read_parquet

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

# The released code adds this to every divisor.
TINY = 1e-8
TABLES = ("forget_clips", "retain_clips", "forget_count", "retain_count")


@dataclass(frozen=True)
class CodeUsage:
    """Counts per quantizer layer and code, each [Q, K].

    *_clips: clips in which the code occurs at all; *_count: occurrences over all tokens.
    forget, retain: number of clips of either set.
    """

    forget_clips: Counts
    retain_clips: Counts
    forget_count: Counts
    retain_count: Counts
    forget: int
    retain: int

    @property
    def layers(self) -> int:
        """Return Q, the number of quantizer layers."""
        return int(self.forget_clips.shape[0])

    @property
    def codes(self) -> int:
        """Return K, the number of codes per layer."""
        return int(self.forget_clips.shape[1])


def load_usage(folder: Path, part: str | None = None) -> CodeUsage:
    """Read the counts that the codebook step wrote; raises WeightsError when they are missing or damaged.

    part: a concept of `unlearn.lcr.parts`, whose clips alone then form the forget set.
    """
    try:
        columns = read_parquet(folder / usage_file(part)).to_pydict()
        table = {name: np.array(values) for name, values in columns.items()}
        order = np.lexsort((table["code"], table["layer"]))
        sizes = read_object(folder / "codebook.json", "layers", "codes", "forget", "retain")
        forget = int(sizes["forget"] if part is None else sizes["parts"][part])
        shape = (int(sizes["layers"]), int(sizes["codes"]))
        counts = {name: table[name][order].reshape(shape) for name in TABLES}
        return CodeUsage(**counts, forget=forget, retain=int(sizes["retain"]))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(
            f"code usage in {folder} cannot be read ({error}); run the codebook step again"
        ) from error


def usage_file(part: str | None = None) -> str:
    """Name of the table of counts, of the whole forget set or of one part of it."""
    return "usage.parquet" if part is None else f"usage-{part}.parquet"


def load_prior(folder: Path) -> float:
    """Read the weight of the log-odds prior, in pseudo-counts per code, that the codebook step scored with."""
    place = folder / "codebook.json"
    try:
        return float(read_object(place, "prior")["prior"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(f"{place} has no prior ({error!r}); run the codebook step again") from error


def count_codes(
    codes: Sequence[ArrayLike] | NDArray[Any],
    forget: ArrayLike,
    codes_per_layer: int,
    *,
    lengths: ArrayLike | None = None,
) -> CodeUsage:
    """Count the codes of a whole set at once.

    codes: a list of [T_i, Q] code indices, or one padded array [N, T, Q] with its `lengths` [N] in tokens.
    forget: [N] bool, true for clips of the forget set; codes_per_layer: K.
    Tokens beyond a clip's length are never counted, nor are negative codes (the generator's "no code").
    Raises ValueError when sizes disagree or a code is K or larger.
    """
    marks = np.asarray(forget, dtype=bool).ravel()
    flat, owner = _flatten(codes, lengths)
    if len(codes) != marks.size:
        raise ValueError(f"{len(codes)} clips of codes but {marks.size} forget marks")
    if flat.size and int(flat.max()) >= codes_per_layer:
        raise ValueError(f"code {int(flat.max())} lies outside the {codes_per_layer} codes of a layer")
    layers = flat.shape[1]
    shape = (layers, codes_per_layer)
    tables = {name: np.zeros(shape, dtype=np.int64) for name in TABLES}
    for layer in range(layers):
        known = flat[:, layer] >= 0
        code, clip = flat[known, layer], owner[known]
        present = np.zeros((marks.size, codes_per_layer), dtype=bool)
        present[clip, code] = True
        hit = marks[clip]
        tables["forget_clips"][layer] = present[marks].sum(axis=0)
        tables["retain_clips"][layer] = present[~marks].sum(axis=0)
        tables["forget_count"][layer] = np.bincount(code[hit], minlength=codes_per_layer)
        tables["retain_count"][layer] = np.bincount(code[~hit], minlength=codes_per_layer)
    return CodeUsage(**tables, forget=int(marks.sum()), retain=int((~marks).sum()))


def _flatten(codes: Sequence[ArrayLike] | NDArray[Any], lengths: ArrayLike | None) -> tuple[Counts, Counts]:
    """Return all real tokens [sum T, Q] and the clip that each belongs to [sum T]."""
    if isinstance(codes, np.ndarray):
        if codes.ndim != 3:
            raise ValueError(f"padded codes must be [clips, tokens, layers], got shape {codes.shape}")
        if lengths is None:
            raise ValueError("padded codes need the lengths of their clips; padding is never counted")
        sizes = np.asarray(lengths, dtype=np.int64)
        if sizes.shape != codes.shape[:1] or (sizes < 0).any() or (sizes > codes.shape[1]).any():
            raise ValueError(f"lengths must be [{codes.shape[0]}] numbers from 0 to {codes.shape[1]}")
        valid = np.arange(codes.shape[1]) < sizes[:, None]
        return codes[valid].astype(np.int64), np.nonzero(valid)[0]
    if lengths is not None or len(codes) == 0:
        raise ValueError("give a non-empty list of [tokens, layers] codes, or a padded array with lengths")
    clips = [np.asarray(clip, dtype=np.int64) for clip in codes]
    owner = np.repeat(np.arange(len(clips)), [len(clip) for clip in clips])
    return np.concatenate(clips), owner


def published_frequency(usage: CodeUsage) -> Floats:
    """Return clips with the code in forget over those in retain, [Q, K], as the released LCR ranks first."""
    frequency: Floats = usage.forget_clips / (usage.retain_clips + TINY)
    return frequency


def published_ratio(usage: CodeUsage) -> Floats:
    """Return the code's share of forget over its share of retain, [Q, K], as the released LCR ranks second.

    Shares are over presence counts. A code that retain never uses gets a huge value, however rare it is.
    """
    ours = usage.forget_clips / np.maximum(usage.forget_clips.sum(axis=1, keepdims=True), 1)
    theirs = usage.retain_clips / np.maximum(usage.retain_clips.sum(axis=1, keepdims=True), 1)
    ratio: Floats = ours / (theirs + TINY)
    return ratio


def log_odds_z(usage: CodeUsage, *, prior: float | None = None) -> Floats:
    """Return the z-score of the log-odds ratio between forget and retain, [Q, K].

    Monroe, Colaresi and Quinn 2008 ("Fightin' Words"), with an informative Dirichlet prior: the pooled
    presence counts, scaled to `prior` pseudo-counts in all (default K, one per code on average).
    Presence counts, one per clip, keep a long clip from dominating. Rare codes stay near 0.
    """
    strength = float(usage.codes if prior is None else prior)
    if strength <= 0:
        raise ValueError(f"prior is {strength:g}; it must be positive")
    ours, theirs = usage.forget_clips.astype(np.float64), usage.retain_clips.astype(np.float64)
    # One extra count per code keeps unused codes finite.
    pooled = ours + theirs + 1.0
    alpha = strength * pooled / pooled.sum(axis=1, keepdims=True)

    def log_odds(counts: Floats) -> Floats:
        total = counts.sum(axis=1, keepdims=True) + strength
        odds: Floats = np.log((counts + alpha) / (total - counts - alpha))
        return odds

    variance = 1.0 / (ours + alpha) + 1.0 / (theirs + alpha)
    z: Floats = (log_odds(ours) - log_odds(theirs)) / np.sqrt(variance)
    return z


def perplexity(counts: ArrayLike) -> Floats:
    """Return exp of the entropy of each layer's occurrence counts: the number of codes in effective use.

    counts: [Q, K]; the result [Q] lies between 1 and K, and is 0 for a layer without any counts.
    """
    table = np.asarray(counts, dtype=np.float64)
    totals = table.sum(axis=-1, keepdims=True)
    share = np.divide(table, totals, out=np.zeros_like(table), where=totals > 0)
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    effective: Floats = np.where(totals[..., 0] > 0, np.exp(-(share * logs).sum(axis=-1)), 0.0)
    return effective


def top_codes(score: ArrayLike, codes: int) -> Counts:
    """Return the codes with the largest scores, best first; equal scores in index order; score: [K]."""
    order: Counts = np.argsort(-np.asarray(score, dtype=np.float64), kind="stable")[:codes]
    return order


def published_top(usage: CodeUsage, layer: int, codes: int) -> Counts:
    """Return the sorted union of the two published rankings of a layer, `codes` to 2 * `codes` of them.

    The released code sorts unstably, so that ties at the cut depend on the machine. Here equal scores rank
    in index order, in each ranking by itself.
    """
    rankings = (published_frequency(usage)[layer], published_ratio(usage)[layer])
    union: Counts = np.unique(np.concatenate([top_codes(ranking, codes) for ranking in rankings]))
    return union
