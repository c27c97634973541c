"""Statistics of the matching rules for filter.json: shares, keywords, harmless phrases, misspellings, disagreement."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hmu_tasks.data.clips.clips import SPLITS
from hmu_tasks.data.clips.words import words_of
from hmu_tasks.data.concepts.concepts import Concept
from hmu_tasks.data.concepts.lemmas import prepare
from hmu_tasks.data.concepts.matching import match
from hmu_tasks.data.concepts.spelling import intended

SAMPLE: Final = 20  # captions listed per rule


def keyword_hits(
    captions: pd.DataFrame, keywords: Sequence[str], hits: Sequence[tuple[str, ...]]
) -> dict[str, dict[str, int]]:
    """Number of captions and of clips in which each keyword was found."""
    pairs = [(clip, word) for clip, found in zip(captions["clip_id"], hits, strict=True) for word in found]
    table = pd.DataFrame(pairs, columns=["clip_id", "keyword"])
    groups = table.groupby("keyword")["clip_id"].agg(["size", "nunique"])
    groups = groups.reindex(list(keywords), fill_value=0)
    return {
        str(word): {"captions": int(row["size"]), "clips": int(row["nunique"])}
        for word, row in groups.iterrows()
    }


def shares(clips: pd.DataFrame, chosen: NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    """Number of clips, forget clips and retain clips, and the forget share, per split and overall."""
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


def keyword_free(
    captions: pd.DataFrame, forgotten: set[str], hits: Sequence[tuple[str, ...]]
) -> dict[str, float]:
    """How many captions of forget clips contain no keyword themselves."""
    theirs = [bool(found) for clip, found in zip(captions["clip_id"], hits, strict=True) if clip in forgotten]
    without = len(theirs) - sum(theirs)
    return {"captions": len(theirs), "without_keyword": without, "share": _share(without, len(theirs))}


def taken_back(
    captions: pd.DataFrame, concept: Concept, dataset: str, hits: Sequence[tuple[str, ...]]
) -> dict[str, int]:
    """Number of captions, per keyword, in which a harmless phrase cancelled the lemma rule's hit."""
    bare = match(captions, replace(concept, harmless={}), dataset=dataset, rule="lemma")
    pairs = zip(bare, hits, strict=True)
    lost = Counter(keyword for before, after in pairs for keyword in before if keyword not in after)
    return dict(sorted(lost.items()))


def spellings_read(captions: pd.DataFrame, concept: Concept, dataset: str) -> dict[str, dict[str, Any]]:
    """Misspelt words that the lemma rule counts as a keyword: the keyword, and the number of captions."""
    targets = prepare(concept.keywords("lemma", dataset)).misspelt
    found = Counter(
        word
        for text in captions["caption"]
        for word in {w.casefold() for w in words_of(text)} & targets.keys()
    )
    meant = {word: intended(word, targets) for word in sorted(found)}
    return {word: {"keyword": key, "captions": found[word]} for word, key in meant.items() if key}


def disagreement(
    captions: pd.DataFrame,
    clips: pd.DataFrame,
    hits: Mapping[str, Sequence[tuple[str, ...]]],
    chosen: Mapping[str, NDArray[np.bool_]],
    *,
    seed: int,
) -> dict[str, Any]:
    """Number of captions and clips that only one rule matches, and a random sample of such captions per rule.

    Mirrored twins are not sampled, as their captions repeat the original's.
    """
    found = {rule: np.fromiter((bool(row) for row in rows), bool, len(rows)) for rule, rows in hits.items()}
    apart = {
        "substring": found["substring"] & ~found["lemma"],
        "lemma": found["lemma"] & ~found["substring"],
    }
    known = set(clips["clip_id"])
    twins = clips.loc[clips["mirror_of"].isin(known), "clip_id"]
    original = ~captions["clip_id"].isin(twins).to_numpy()
    line = captions.groupby("clip_id").cumcount()
    rng = np.random.default_rng(seed)
    sampled = {
        rule: np.sort(rng.permutation(np.flatnonzero(rows & original))[:SAMPLE])
        for rule, rows in apart.items()
    }
    examples = [
        {
            "clip_id": str(captions["clip_id"].iloc[row]),
            "line": int(line.iloc[row]),
            "caption": str(captions["caption"].iloc[row]),
            "only": rule,
            "keywords": list(hits[rule][row]),
        }
        for rule, rows in sampled.items()
        for row in rows
    ]
    return {
        "captions": int(sum(rows.sum() for rows in apart.values())),
        "captions_only_substring": int(apart["substring"].sum()),
        "captions_only_lemma": int(apart["lemma"].sum()),
        "clips_only_substring": int((chosen["substring"] & ~chosen["lemma"]).sum()),
        "clips_only_lemma": int((chosen["lemma"] & ~chosen["substring"]).sum()),
        "clips_both": int((chosen["lemma"] & chosen["substring"]).sum()),
        "sample": examples,
    }


def twins_apart(clips: pd.DataFrame, forgotten: set[str]) -> list[str]:
    """Mirrored clips that are not on the same side as their original; normally none, as their captions agree."""
    twins = clips[clips["mirror_of"].notna()]
    pairs = zip(twins["clip_id"], twins["mirror_of"], strict=True)
    return sorted(twin for twin, original in pairs if (twin in forgotten) != (original in forgotten))


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0
