"""The lemma rule: match keywords as lemmas, with parts of speech, phrases and harmless contexts."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from hmu_tasks.data.clips.words import clauses_of, clauses_of_words, words_of
from hmu_tasks.data.concepts.spelling import intended, lemma_of, spellings

# Tags that do not tell an English verb from a noun: spaCy's unknown and proper noun, and the tag that text files
# carry when no tagger was run.
UNKNOWN_TAGS: Final = frozenset({"", "OTHER", "X", "PROPN"})

# Subjects of a caption. A noun tag right after one of these ("a human boxes", tagged as two nouns) is a tagger error.
SUBJECTS: Final = re.compile(
    "person|man|woman|human|guy|boy|girl|figure|subject|someone|somebody|he|she|they|it|who"
)
# A base form ("box") after one of BEFORE_VERB is a verb; an s-form ("boxes") after one of BEFORE_NOUN is a noun.
BEFORE_VERB: Final = re.compile(
    f"{SUBJECTS.pattern}|to|and|then|or|will|can|must|should|would|could|i|you|we|people"
)
BEFORE_NOUN: Final = re.compile(
    "a|an|the|this|that|these|those|his|her|their|its|my|your|some|many|several|few|two|three|four|five|of|with"
    "|on|in|into|over|onto|up|left|right|heavy|big|large|small|empty|more|other"
)


class Word(NamedTuple):
    """A word of a caption: surface form (empty if tokens and words do not align), lemmas, part of speech, clause."""

    text: str
    lemmas: frozenset[str]
    pos: str
    clause: int


@dataclass(frozen=True)
class Keywords:
    """Keywords indexed for matching; see `prepare`."""

    order: tuple[str, ...]
    by_word: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]]  # first word -> keyword and its terms
    harmless: Mapping[str, tuple[tuple[str, ...], ...]]
    misspelt: Mapping[str, str]


def prepare(keywords: Sequence[str], harmless: Mapping[str, Sequence[str]] | None = None) -> Keywords:
    """Index keywords ("kick", "box/VERB", "kung fu") and the phrases that make each harmless ("=ball", "get =hit")."""
    table: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for keyword in keywords:
        terms = tuple(keyword.split())
        table.setdefault(_plain(terms[0]), []).append((keyword, terms))
    single = (_plain(keyword) for keyword in keywords if " " not in keyword)
    return Keywords(
        order=tuple(keywords),
        by_word={word: tuple(entries) for word, entries in table.items()},
        harmless={
            keyword: tuple(tuple(phrase.split()) for phrase in phrases)
            for keyword, phrases in (harmless or {}).items()
            if keyword in keywords
        },
        misspelt=spellings(single),
    )


def lemma_hits(caption: str, tokens: str, keywords: Keywords) -> tuple[str, ...]:
    """Keywords that occur in a caption as whole words by lemma, case-insensitive, outside harmless clauses.

    tokens: "word/POS word/POS ...", the lemmas and parts of speech; if empty, the caption's words are used. An unknown
    part of speech is guessed from the ending and the previous word. A word in no dictionary counts as the keyword it
    misspells if no other word is as close; see `spelling.intended`.
    """
    words = read_words(caption, tokens, keywords)
    found: dict[str, set[int]] = {}
    for start, word in enumerate(words):
        for lemma in word.lemmas:
            for keyword, terms in keywords.by_word.get(lemma, ()):
                if _matches_at(words, start, terms):
                    found.setdefault(keyword, set()).add(word.clause)
    for keyword in found:
        for phrase in keywords.harmless.get(keyword, ()):
            found[keyword] -= {w.clause for start, w in enumerate(words) if _matches_at(words, start, phrase)}
    return tuple(keyword for keyword in keywords.order if found.get(keyword))


def read_words(caption: str, tokens: str, keywords: Keywords) -> list[Word]:
    """Words of a caption with lemmas and parts of speech; misspellings are resolved against `keywords`."""
    spoken = [word.casefold() for word in words_of(caption)]
    tagged = [_token(token) for token in tokens.split()]
    if not tagged:
        tagged = [(word, "") for word in spoken]
    # Official tokens are lemmas in caption order; if their number differs, they cannot be aligned with the words.
    aligned = len(spoken) == len(tagged)
    numbers = clauses_of(caption) if aligned else clauses_of_words([token for token, _ in tagged])
    words: list[Word] = []
    before = ""
    for index, (token, tag) in enumerate(tagged):
        text = spoken[index] if aligned else ""
        lemmas = set()
        for form in {token, text} - {""}:
            lemmas |= {form, lemma_of(form)}
            if (meant := intended(form, keywords.misspelt)) is not None:
                lemmas.add(meant)
        written = text or token
        words.append(Word(text, frozenset(lemmas), _part_of_speech(written, tag, before), numbers[index]))
        before = written
    return words


def _token(token: str) -> tuple[str, str]:
    word, slash, tag = token.rpartition("/")
    return (word.casefold(), tag) if slash else (tag.casefold(), "")


def _matches_at(words: Sequence[Word], start: int, terms: Sequence[str]) -> bool:
    """Whether the words from `start` on match the terms one by one."""
    if start + len(terms) > len(words):
        return False
    return all(_matches(word, term) for word, term in zip(words[start:], terms, strict=False))


def _matches(word: Word, term: str) -> bool:
    if term.startswith("="):
        return word.text == term[1:]
    plain, _, pos = term.partition("/")
    return plain in word.lemmas and pos in ("", word.pos)


@cache
def _plain(term: str) -> str:
    return term.partition("/")[0]


def _part_of_speech(word: str, tag: str, before: str) -> str:
    """Return the given tag, or a guess of VERB or NOUN if the tag is unknown or impossible."""
    if tag == "NOUN" and SUBJECTS.fullmatch(before):
        return "VERB"
    if tag not in UNKNOWN_TAGS:
        return tag
    if word == lemma_of(word):
        return "VERB" if BEFORE_VERB.fullmatch(before) else "NOUN"
    if word.endswith("s"):
        return "NOUN" if BEFORE_NOUN.fullmatch(before) else "VERB"
    return "VERB"
