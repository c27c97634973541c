"""Resolve misspelt words to keywords, conservatively: only where no other word can have been meant."""

from collections.abc import Iterable, Mapping
from functools import cache
from string import ascii_lowercase
from typing import Final

SHORTEST: Final = 4  # letters; three-letter strings are too often other words


@cache
def lemma_of(word: str) -> str:
    """Return the lemma of an English word in lower case, regardless of part of speech."""
    from simplemma import lemmatize

    return str(lemmatize(word, lang="en")).casefold() if word else ""


def is_known(word: str) -> bool:
    """Return whether a word stands in the dictionary."""
    import simplemma

    return bool(simplemma.is_known(word, lang="en"))


def intended(word: str, targets: Mapping[str, str]) -> str | None:
    """Keyword that an unknown word misspells; None for dictionary words and ambiguous cases.

    word: lower case. targets: the result of `spellings`. A wrong inflection ("punchs", "hited") counts. Any other
    unknown word counts if it is one edit (insertion, deletion, substitution or transposition) away from a form of the
    keyword and from no dictionary word of another family: "kciks" counts, "puched" does not, as it is equally close to
    "pushed".
    """
    keyword = targets.get(word)
    if keyword is None or word == keyword or is_known(word):
        return None
    if word in forms(keyword):
        return keyword
    rivals = (other for other in edits(word) if is_known(other))
    return keyword if all(_family(other, keyword) for other in rivals) else None


def spellings(keywords: Iterable[str]) -> dict[str, str]:
    """Map every form of a keyword, and every string one edit from a form, to the keyword; ties go by sort order."""
    found: dict[str, str] = {}
    for keyword in sorted(set(keywords)):
        for form in forms(keyword):
            found.setdefault(form, keyword)
            if len(form) >= SHORTEST:
                for near in edits(form):
                    found.setdefault(near, keyword)
    return found


@cache
def forms(word: str) -> frozenset[str]:
    """Return the regular inflections of a verb or noun, including misspelt ones."""
    stem = word[:-1] if word.endswith("e") else word
    endings = {word, f"{word}s", f"{word}es", f"{word}ed", f"{word}d", f"{stem}ed", f"{stem}ing"}
    doubled = word + word[-1]
    return frozenset(endings | {f"{doubled}ed", f"{doubled}ing"})


def edits(word: str) -> set[str]:
    """All strings one edit away from a word: deletion, transposition, substitution or insertion of a letter."""
    cuts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    deleted = {left + right[1:] for left, right in cuts if right}
    swapped = {left + right[1] + right[0] + right[2:] for left, right in cuts if len(right) > 1}
    replaced = {left + letter + right[1:] for left, right in cuts if right for letter in ascii_lowercase}
    inserted = {left + letter + right for left, right in cuts for letter in ascii_lowercase}
    return (deleted | swapped | replaced | inserted) - {word}


def _family(word: str, keyword: str) -> bool:
    # "kicker" and "punchy" derive from the keyword, so a misspelling of them means it, too.
    return lemma_of(word) == keyword or word.startswith(keyword)
