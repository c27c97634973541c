"""Divide clips into a forget and a retain set by matching their captions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hmu_tasks.data.clips.clips import SPLITS
from hmu_tasks.data.concepts.concepts import RULES, Concept
from hmu_tasks.data.concepts.matching import match
from hmu_tasks.data.division import comparison
from hmu_tasks.runtime.errors import DataError

FEWEST: Final = 2
"""Clips to forget and to retain of a split that is evaluated: a covariance, and with it every FID, needs two."""


@dataclass(frozen=True)
class FilterResult:
    """Sorted clip ids to forget and to retain per split, and the statistics for filter.json."""

    forget: Mapping[str, tuple[str, ...]]
    retain: Mapping[str, tuple[str, ...]]
    summary: dict[str, Any]


def filter_clips(
    captions: pd.DataFrame,
    clips: pd.DataFrame,
    concept: Concept,
    dataset: str,
    *,
    rule: str,
    matches: int,
    seed: int = 0,
) -> FilterResult:
    """Put every clip with at least `matches` matching captions into the forget set, the others into retain.

    captions: columns clip_id, caption, tokens; clips: clip_id, split, source, mirror_of. Clips cut from the same raw
    clip share one count, as the published rule counts lines of a raw clip's text file. A clip without captions is
    retained. seed: for the sample of captions on which the two rules disagree.
    Raises DataError if a split has no clips, or nothing to forget or retain; fewer than `FEWEST` where it is evaluated.
    """
    hits: dict[str, list[tuple[str, ...]]] = {
        name: match(captions, concept, dataset=dataset, rule=name) for name in RULES
    }
    chosen = {name: choose(captions, clips, found, matches=matches) for name, found in hits.items()}
    ids = clips["clip_id"].to_numpy()
    forget, retain = {}, {}
    for split in SPLITS:
        here = (clips["split"] == split).to_numpy()
        forget[split] = tuple(sorted(ids[here & chosen[rule]]))
        retain[split] = tuple(sorted(ids[here & ~chosen[rule]]))
        _check_split(split, forget[split], retain[split], concept, dataset, rule, matches)
    forgotten = set(ids[chosen[rule]])
    summary = {
        "concept": concept.name,
        "dataset": dataset,
        "rule": rule,
        "matches": matches,
        "captions": len(captions),
        "captions_of_forget_clips": comparison.keyword_free(captions, forgotten, hits[rule]),
        "rules": {
            name: {
                "captions": sum(bool(found) for found in hits[name]),
                "splits": comparison.shares(clips, chosen[name]),
                "keywords": comparison.keyword_hits(captions, concept.keywords(name, dataset), hits[name]),
            }
            for name in RULES
        },
        "harmless": comparison.taken_back(captions, concept, dataset, hits["lemma"]),
        "spellings": comparison.spellings_read(captions, concept, dataset),
        "disagreement": comparison.disagreement(captions, clips, hits, chosen, seed=seed),
        "twins_apart": comparison.twins_apart(clips, forgotten),
    }
    return FilterResult(forget=forget, retain=retain, summary=summary)


def choose(
    captions: pd.DataFrame, clips: pd.DataFrame, hits: Sequence[tuple[str, ...]], *, matches: int
) -> NDArray[np.bool_]:
    """Whether each clip (row of `clips`) has at least `matches` matching captions, counted per raw clip."""
    source = clips.set_index("clip_id")["source"]
    matching = captions.loc[np.fromiter((bool(found) for found in hits), bool, len(hits)), "clip_id"]
    counts = matching.map(source).value_counts()
    enough: NDArray[np.bool_] = (clips["source"].map(counts).fillna(0) >= matches).to_numpy(bool)
    return enough


def _check_split(
    split: str,
    forget: Sequence[str],
    retain: Sequence[str],
    concept: Concept,
    dataset: str,
    rule: str,
    matches: int,
) -> None:
    what = f"concept {concept.name!r}, dataset {dataset!r}, rule {rule!r}, matches {matches}"
    if not forget and not retain:
        raise DataError(
            f"the {split} split of dataset {dataset!r} has no clips; see ingest.json for what was skipped"
        )
    if not forget:
        raise DataError(
            f"nothing to forget in the {split} split ({len(retain)} clips): no clip has {matches} matching "
            f"caption(s) for {what}.\nKeywords searched: {', '.join(concept.keywords(rule, dataset))}.\n"
            "Lower filter.matches, choose another filter.rule or run.concept in params.yaml, "
            "or define other keywords in your own concepts file (filter.concepts)."
        )
    if not retain:
        raise DataError(
            f"nothing to retain in the {split} split: all {len(forget)} clips match {what}.\n"
            "Raise filter.matches or choose another filter.rule or run.concept in params.yaml."
        )
    for role, kind, ids in (("forget", "matching", forget), ("retain", "other", retain)):
        if split != "train" and len(ids) < FEWEST:
            raise DataError(
                f"only {len(ids)} clip to {role} in the {split} split ({', '.join(ids)}), by {what}: the evaluation "
                f"compares distributions and needs {FEWEST}. Move a clip with {kind} captions from another split into "
                f"{split}.txt of the raw folder, or choose another filter.rule, filter.matches or run.concept in "
                "params.yaml"
            )
