"""Which captions speak of a concept: the published substring rule and the cleaner lemma rule."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

import pandas as pd
from simplemma import lemmatize

from hmu_tasks.data.concepts import Concept

# Tags that say nothing reliable about an English verb or noun: spaCy's unknown and proper noun, and the tag that
# text files carry when no tagger was run.
UNKNOWN_TAGS: Final = frozenset({"", "OTHER", "X", "PROPN"})

# Words of a caption: letters, with an inner apostrophe; digits and marks part them, a hyphen does not.
WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")

# Before a plain form ("box") these announce a verb; before an s-form ("boxes") the others announce a noun.
BEFORE_VERB: Final = re.compile("to|and|then|or|they|will|can|must|should|would|could|i|you|we|people")
BEFORE_NOUN: Final = re.compile(
    "a|an|the|this|that|these|those|his|her|their|its|my|your|some|many|several|few|two|three|four|five|of|with"
    "|on|in|into|over|onto|up|left|right|heavy|big|large|small|empty|more|other"
)


def text_line(caption: str, tokens: str) -> str:
    """The part of an official text line that letters can stand in: caption, a hash, words with their tags."""
    return f"{caption}#{tokens}"


def words_of(caption: str) -> list[str]:
    """Split a caption into words as the official text files count them: hyphens closed, digits and marks left out."""
    return WORD.findall(caption.replace("-", ""))


def match(captions: pd.DataFrame, concept: Concept, *, dataset: str, rule: str) -> list[tuple[str, ...]]:
    """Keywords of the concept that each caption holds, in the order of the rows (an empty tuple: none).

    captions: columns caption and tokens ("word/POS word/POS ..."; may be empty). Rules: see docs/concepts.md.
    """
    keywords = concept.keywords(rule, dataset)
    pairs = zip(captions["caption"], captions["tokens"], strict=True)
    if rule == "substring":
        return [substring_hits(text_line(caption, tokens), keywords) for caption, tokens in pairs]
    return [lemma_hits(caption, tokens, keywords) for caption, tokens in pairs]


def substring_hits(line: str, keywords: Sequence[str]) -> tuple[str, ...]:
    """Keywords that occur anywhere in a text line, case-sensitive (HMU's published rule)."""
    return tuple(keyword for keyword in keywords if keyword in line)


def lemma_hits(caption: str, tokens: str, keywords: Sequence[str]) -> tuple[str, ...]:
    """Keywords that a caption holds as whole words by dictionary form, in any case.

    Tokens give words and parts of speech; without them the caption's words are taken. Where a tag is unknown and a
    keyword asks for one, the part of speech is guessed from the word's ending and the word before it.
    """
    wanted = _wanted(tuple(keywords))
    found: set[str] = set()
    previous = ""
    for word, tag in _tagged(caption, tokens):
        lemma = _lemma(word)
        for form in {word, lemma}:
            for keyword, pos in wanted.get(form, ()):
                if not pos or pos == (_guess(word, lemma, previous) if tag in UNKNOWN_TAGS else tag):
                    found.add(keyword)
        previous = word
    return tuple(keyword for keyword in keywords if keyword in found)


def _tagged(caption: str, tokens: str) -> list[tuple[str, str]]:
    if not tokens.strip():
        return [(word.casefold(), "") for word in words_of(caption)]
    parts = (token.rpartition("/") for token in tokens.split())
    return [(word.casefold(), tag) if slash else (tag.casefold(), "") for word, slash, tag in parts]


@cache
def _wanted(keywords: tuple[str, ...]) -> dict[str, list[tuple[str, str]]]:
    """Keyword and part of speech by the word to look for."""
    table: dict[str, list[tuple[str, str]]] = {}
    for keyword in keywords:
        word, _, pos = keyword.partition("/")
        table.setdefault(word, []).append((keyword, pos))
    return table


@cache
def _lemma(word: str) -> str:
    return str(lemmatize(word, lang="en")).casefold()


def _guess(word: str, lemma: str, previous: str) -> str:
    """VERB or NOUN for a word that carries no tag."""
    if word == lemma:
        return "VERB" if BEFORE_VERB.fullmatch(previous) else "NOUN"
    if word.endswith("s"):
        return "NOUN" if BEFORE_NOUN.fullmatch(previous) else "VERB"
    return "VERB"
