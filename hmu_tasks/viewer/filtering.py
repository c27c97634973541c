"""What the report says about the concept filter: each rule's shares and keywords, and where the rules disagree."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Share:
    """Clips of one split, and the forget clips with their share by each rule, in the order of the rules."""

    split: str
    clips: int
    forget: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Keyword:
    """A keyword's clips and captions, and its captions relative to the rule's most frequent keyword."""

    word: str
    clips: int
    captions: int
    part: float


@dataclass(frozen=True)
class Rule:
    """A rule's matching captions and its keywords, most frequent first; `idle` were found in no caption."""

    name: str
    captions: int
    keywords: tuple[Keyword, ...]
    idle: tuple[str, ...]


@dataclass(frozen=True)
class Agreement:
    """Clips that some rule puts into the forget set: a name of the group, its number and its share of them."""

    name: str
    key: str
    clips: int
    share: float


@dataclass(frozen=True)
class CaptionSample:
    """Sampled captions that only one rule finds, out of `captions`: rows of caption, keywords found, and clip id."""

    rule: str
    captions: int
    rows: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class FilterFacts:
    """The filter's statistics, ready for tables; the rule in use comes first in `rules`."""

    rule: str
    sentences: tuple[str, ...]
    shares: tuple[Share, ...]
    rules: tuple[Rule, ...]
    agreement: tuple[Agreement, ...]
    samples: tuple[CaptionSample, ...]


def filter_facts(summary: Mapping[str, Any] | None) -> FilterFacts | None:
    """Read what the filter step wrote (filter.json); None where the step was not run."""
    if summary is None:
        return None
    rule, rules = str(summary["rule"]), summary["rules"]
    names = sorted(rules, key=lambda name: (name != rule, name))
    shares = tuple(
        Share(split, counts["clips"], tuple(_forget(rules[name]["splits"][split]) for name in names))
        for split, counts in rules[rule]["splits"].items()
    )
    return FilterFacts(
        rule=rule,
        sentences=tuple(_sentences(summary)),
        shares=shares,
        rules=tuple(_rule(name, rules[name]) for name in names),
        agreement=_agreement(summary["disagreement"]),
        samples=tuple(_sample(name, summary["disagreement"]) for name in names),
    )


def _forget(counts: Mapping[str, Any]) -> tuple[int, float]:
    return int(counts["forget"]), float(counts["share"])


def _rule(name: str, result: Mapping[str, Any]) -> Rule:
    counts = result["keywords"]
    most = max([1, *(count["captions"] for count in counts.values())])
    found = [
        Keyword(word, count["clips"], count["captions"], count["captions"] / most)
        for word, count in counts.items()
        if count["captions"]
    ]
    found.sort(key=lambda row: (-row.captions, row.word))
    idle = tuple(word for word, count in counts.items() if not count["captions"])
    return Rule(name, result["captions"], tuple(found), idle)


def _agreement(apart: Mapping[str, Any]) -> tuple[Agreement, ...]:
    groups = (
        ("both rules", "clips_both"),
        ("only substring", "clips_only_substring"),
        ("only lemma", "clips_only_lemma"),
    )
    total = sum(apart[key] for _, key in groups) or 1
    return tuple(
        Agreement(name, key.removeprefix("clips_").replace("_", "-"), apart[key], apart[key] / total)
        for name, key in groups
    )


def _sample(rule: str, apart: Mapping[str, Any]) -> CaptionSample:
    rows = tuple(
        (row["caption"], ", ".join(row["keywords"]), row["clip_id"])
        for row in apart["sample"]
        if row["only"] == rule
    )
    return CaptionSample(rule, apart[f"captions_only_{rule}"], rows)


def _sentences(summary: Mapping[str, Any]) -> Iterator[str]:
    matches = summary["matches"]
    wanted = "at least one of its captions matches" if matches == 1 else f"{matches} of its captions match"
    yield f"A clip is in the forget set when {wanted} a keyword of the concept by the rule “{summary['rule']}”."
    free = summary["captions_of_forget_clips"]
    if free["captions"]:
        yield (
            f"Of the {free['captions']:,} captions of forget clips, {free['without_keyword']:,} "
            f"({100 * free['share']:.0f} %) contain no keyword: prompts that name the concept only indirectly."
        )
    if summary["harmless"]:
        lost = ", ".join(f"{word} {count:,}" for word, count in summary["harmless"].items())
        yield f"Hits that the lemma rule rejected because of a harmless phrase in the caption: {lost}."
    if summary["spellings"]:
        read = ", ".join(
            f"{word} as {found['keyword']} ({found['captions']:,})"
            for word, found in summary["spellings"].items()
        )
        yield f"Misspelt words that the lemma rule read as a keyword, with their captions: {read}."
    if summary["twins_apart"]:
        yield f"{len(summary['twins_apart']):,} mirrored clips were assigned to another set than their originals."
