"""Divide clips into a forget and a retain set by what their captions say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hmu_tasks.data.clips import SPLITS
from hmu_tasks.data.concepts import RULES, Concept
from hmu_tasks.data.matching import match
from hmu_tasks.errors import DataError

SAMPLE: Final = 20


@dataclass(frozen=True)
class FilterResult:
    """Clip ids to forget and to retain per split, each list sorted, and the figures that describe the division."""

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
    """Put every clip whose captions match a concept at least `matches` times into the forget set, others into retain.

    captions: columns clip_id, caption, tokens; clips: clip_id, split, source, mirror_of. Clips cut from the same raw
    clip share their captions' count, as the published rule counts lines of a raw clip's text file. A clip without
    captions is retained. `seed` draws the sample of captions on which the two rules disagree.
    Raises DataError when a split has no clips, nothing to forget, or nothing to retain.
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
        "captions_of_forget_clips": _keyword_free(captions, forgotten, hits[rule]),
        "rules": {
            name: {
                "splits": _shares(clips, chosen[name]),
                "keywords": keyword_hits(captions, concept.keywords(name, dataset), hits[name]),
            }
            for name in RULES
        },
        "disagreement": _disagreement(captions, hits, chosen, seed=seed),
        "twins_apart": _twins_apart(clips, forgotten),
    }
    return FilterResult(forget=forget, retain=retain, summary=summary)


def choose(
    captions: pd.DataFrame, clips: pd.DataFrame, hits: Sequence[tuple[str, ...]], *, matches: int
) -> NDArray[np.bool_]:
    """Whether each clip (row of `clips`) has at least `matches` matching captions, counted over its raw clip."""
    source = clips.set_index("clip_id")["source"]
    matching = captions.loc[np.fromiter((bool(found) for found in hits), bool, len(hits)), "clip_id"]
    counts = matching.map(source).value_counts()
    enough: NDArray[np.bool_] = (clips["source"].map(counts).fillna(0) >= matches).to_numpy(bool)
    return enough


def keyword_hits(
    captions: pd.DataFrame, keywords: Sequence[str], hits: Sequence[tuple[str, ...]]
) -> dict[str, dict[str, int]]:
    """In how many captions, and in how many clips, each keyword was found."""
    pairs = [(clip, word) for clip, found in zip(captions["clip_id"], hits, strict=True) for word in found]
    table = pd.DataFrame(pairs, columns=["clip_id", "keyword"])
    groups = table.groupby("keyword")["clip_id"].agg(["size", "nunique"])
    groups = groups.reindex(list(keywords), fill_value=0)
    return {
        str(word): {"captions": int(row["size"]), "clips": int(row["nunique"])}
        for word, row in groups.iterrows()
    }


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
            "or extend the concept's keywords in hmu_tasks/data/concepts.yaml."
        )
    if not retain:
        raise DataError(
            f"nothing to retain in the {split} split: all {len(forget)} clips match {what}.\n"
            "Raise filter.matches or choose another filter.rule or run.concept in params.yaml."
        )


def _shares(clips: pd.DataFrame, chosen: NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    table = {}
    for split in (*SPLITS, "all"):
        here = chosen if split == "all" else chosen[(clips["split"] == split).to_numpy()]
        count, forget = len(here), int(here.sum())
        table[split] = {
            "clips": count,
            "forget": forget,
            "retain": count - forget,
            "share": _share(forget, count),
        }
    return table


def _keyword_free(
    captions: pd.DataFrame, forgotten: set[str], hits: Sequence[tuple[str, ...]]
) -> dict[str, float]:
    theirs = [bool(found) for clip, found in zip(captions["clip_id"], hits, strict=True) if clip in forgotten]
    without = len(theirs) - sum(theirs)
    return {"captions": len(theirs), "without_keyword": without, "share": _share(without, len(theirs))}


def _disagreement(
    captions: pd.DataFrame,
    hits: Mapping[str, Sequence[tuple[str, ...]]],
    chosen: Mapping[str, NDArray[np.bool_]],
    *,
    seed: int,
) -> dict[str, Any]:
    pairs = list(zip(hits["substring"], hits["lemma"], strict=True))
    rows = np.flatnonzero([bool(substring) != bool(lemma) for substring, lemma in pairs])
    picked = np.sort(np.random.default_rng(seed).permutation(rows)[:SAMPLE])
    sample = [
        {
            "clip_id": str(captions["clip_id"].iloc[row]),
            "caption": str(captions["caption"].iloc[row]),
            "substring": list(pairs[row][0]),
            "lemma": list(pairs[row][1]),
        }
        for row in picked
    ]
    return {
        "captions": len(rows),
        "clips_only_substring": int((chosen["substring"] & ~chosen["lemma"]).sum()),
        "clips_only_lemma": int((chosen["lemma"] & ~chosen["substring"]).sum()),
        "clips_both": int((chosen["lemma"] & chosen["substring"]).sum()),
        "sample": sample,
    }


def _twins_apart(clips: pd.DataFrame, forgotten: set[str]) -> list[str]:
    """Mirrored clips that fell on the other side than their original; normally none, as both say the same."""
    twins = clips[clips["mirror_of"].notna()]
    pairs = zip(twins["clip_id"], twins["mirror_of"], strict=True)
    return sorted(twin for twin, original in pairs if (twin in forgotten) != (original in forgotten))


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0
