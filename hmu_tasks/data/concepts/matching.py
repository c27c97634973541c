"""Match captions against a concept by the published substring rule or the cleaner lemma rule."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hmu_tasks.data.concepts.concepts import Concept
from hmu_tasks.data.concepts.lemmas import lemma_hits, prepare


def text_line(caption: str, tokens: str) -> str:
    """The text part of an official caption line, `caption#tokens`, on which the substring rule runs."""
    return f"{caption}#{tokens}"


if TYPE_CHECKING:
    import pandas as pd


def match(
    captions: "Mapping[str, Sequence[str]] | pd.DataFrame", concept: Concept, *, dataset: str, rule: str
) -> list[tuple[str, ...]]:
    """Keywords of the concept found in each caption, in row order; an empty tuple if none.

    captions: columns caption and tokens ("word/POS word/POS ...", may be empty). Rules: see docs/concepts.md.
    """
    keywords = concept.keywords(rule, dataset)
    pairs = zip(captions["caption"], captions["tokens"], strict=True)
    if rule == "substring":
        return [substring_hits(text_line(caption, tokens), keywords) for caption, tokens in pairs]
    prepared = prepare(keywords, concept.harmless)
    return [lemma_hits(caption, tokens, prepared) for caption, tokens in pairs]


def substring_hits(line: str, keywords: Sequence[str]) -> tuple[str, ...]:
    """Keywords that occur anywhere in a text line, case-sensitive: HMU's published rule."""
    return tuple(keyword for keyword in keywords if keyword in line)
