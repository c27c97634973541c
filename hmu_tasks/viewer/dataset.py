"""What the report says about the data: forget shares, keywords, and the contracts that were checked."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST = 12  # longer lists in flattened settings are cut


@dataclass(frozen=True)
class Share:
    """Clips of one split by the rule in use, and the forget share that the other rules would give."""

    split: str
    clips: int
    forget: int
    retain: int
    share: float
    others: tuple[float, ...]


@dataclass(frozen=True)
class FilterFacts:
    """The concept filter's counts, ready for tables; `sentences` says what is worth knowing about them."""

    rule: str
    other_rules: tuple[str, ...]
    shares: tuple[Share, ...]
    keywords: tuple[tuple[str, int, int], ...]  # word, clips, captions
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Suite:
    """One suite of data contracts: each with its column, the values checked, and whether it holds."""

    name: str
    contracts: tuple[tuple[str, str, int, bool], ...]


def filter_facts(summary: Mapping[str, Any]) -> FilterFacts | None:
    """Read what the filter step wrote (filter.json); None where it holds no counts of its own rule."""
    rule, rules = str(summary.get("rule", "")), summary.get("rules", {})
    if rule not in rules:
        return None
    others = tuple(name for name in sorted(rules) if name != rule)
    shares = tuple(
        Share(
            split=split,
            clips=counts["clips"],
            forget=counts["forget"],
            retain=counts["retain"],
            share=counts["share"],
            others=tuple(rules[name]["splits"][split]["share"] for name in others),
        )
        for split, counts in rules[rule]["splits"].items()
    )
    words = [(word, count["clips"], count["captions"]) for word, count in rules[rule]["keywords"].items()]
    words.sort(key=lambda row: (-row[1], row[0]))
    return FilterFacts(rule, others, shares, tuple(words), tuple(_filter_sentences(summary, rule)))


def suites(record: Mapping[str, Any]) -> tuple[Suite, ...]:
    """Read what the validate step wrote (validation.json)."""
    return tuple(
        Suite(
            name=suite["name"],
            contracts=tuple(
                (c["contract"], c["column"], c["checked"], c["success"]) for c in suite["contracts"]
            ),
        )
        for suite in record.get("suites", ())
    )


def facts(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Flatten nested settings to pairs of a dotted name and a short text."""
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping):
            yield from facts(item, f"{name}.")
        elif isinstance(item, list | tuple):
            words = [json.dumps(i, sort_keys=True) if isinstance(i, dict | list) else str(i) for i in item]
            rest = f" … and {len(words) - LONGEST} more" if len(words) > LONGEST else ""
            yield name, (", ".join(words[:LONGEST]) or "none") + rest
        elif isinstance(item, bool) or item is None:
            yield name, {True: "yes", False: "no", None: "–"}[item]
        else:
            yield name, f"{item:.4g}" if isinstance(item, float) else str(item)


def _filter_sentences(summary: Mapping[str, Any], rule: str) -> Iterator[str]:
    matches = summary.get("matches", 1)
    yield (
        f"A clip is in the forget set when at least {matches} of its captions "
        f"{'matches' if matches == 1 else 'match'} a keyword of the concept by the rule “{rule}”."
    )
    free = summary.get("captions_of_forget_clips", {})
    if free.get("captions"):
        yield (
            f"Of the {free['captions']} captions of forget clips, {free['without_keyword']} "
            f"({100 * free['share']:.0f} %) carry no keyword: prompts that name the concept only indirectly."
        )
    apart = summary.get("disagreement", {})
    if "clips_only_substring" in apart:
        yield (
            f"The rules disagree on {apart['captions']} captions: {apart['clips_only_substring']} clips match only "
            f"by substring, {apart['clips_only_lemma']} only by lemma, {apart['clips_both']} by both."
        )
