"""Which codes Latent Code Replacement takes: the best by their counts, of one set or divided over sub-concepts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from hmu_tasks.methods.shared.codes import CodeUsage, log_odds_z, published_ratio, published_top, top_codes
from hmu_tasks.methods.shared.scores import KEY, Score
from hmu_tasks.runtime.errors import ConfigError


@dataclass(frozen=True)
class SubConcept:
    """A sub-concept with its own counts, and its share of the codes to replace."""

    usage: CodeUsage
    share: int


def split_codes(codes: int, shares: Sequence[int]) -> list[int]:
    """Divide a number of codes by shares, rounded so that the parts sum up to it."""
    total = sum(shares)
    ends = [round(codes * done / total) for done in accumulate(shares, initial=0)]
    return [stop - start for start, stop in pairwise(ends)]


def chosen_codes(
    usage: CodeUsage,
    codes: int,
    layers: Sequence[int],
    *,
    published: bool,
    score: Score,
    prior: float | None = None,
    support: int,
    parts: Mapping[str, SubConcept] | None = None,
) -> tuple[dict[str, dict[int, np.ndarray]], dict[int, np.ndarray]]:
    """Choose the codes to replace: by part and layer, and by layer, ascending; arguments as for `replace_codes`."""
    united = dict(parts) if parts else {"": SubConcept(usage, 1)}
    counts = split_codes(codes, [part.share for part in united.values()])
    lists = {
        name: {
            layer: _choose(
                part.usage, layer, count, published=published, score=score, prior=prior, support=support
            )
            for layer in layers
        }
        for (name, part), count in zip(united.items(), counts, strict=True)
    }
    chosen = {
        layer: np.unique(np.concatenate([found[layer] for found in lists.values()])) for layer in layers
    }
    for layer, rows in chosen.items():
        if len(rows) == usage.codes:
            raise ConfigError(
                f"{KEY} is {codes}: its lists cover the whole codebook of layer {layer}; lower it"
            )
    return lists, chosen


def _choose(
    usage: CodeUsage,
    layer: int,
    codes: int,
    *,
    published: bool,
    score: Score,
    prior: float | None,
    support: int,
) -> np.ndarray:
    """Return the codes of a layer to replace, ascending."""
    if codes < 0 or codes >= usage.codes:
        raise ConfigError(
            f"{KEY} is {codes}, but the codebook has {usage.codes} codes and one must stay; "
            f"choose a number from 0 to {usage.codes - 1}"
        )
    if published:
        return published_top(usage, layer, codes)
    ranking = (published_ratio(usage) if score == "ratio" else log_odds_z(usage, prior=prior))[layer]
    # A code that no forget clip uses cannot carry the concept, whatever `support` is.
    eligible = np.flatnonzero(usage.forget_clips[layer] >= max(support, 1))
    if codes > len(eligible):
        raise ConfigError(
            f"{KEY} is {codes}, but only {len(eligible)} codes of layer {layer} occur in at least "
            f"{max(support, 1)} forget clips; lower {KEY} or unlearn.lcr.support"
        )
    return np.sort(eligible[top_codes(ranking[eligible], codes)])
