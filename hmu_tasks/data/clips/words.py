"""Split captions into words, as the official text files count tokens, and into clauses; lemmas as tokens."""

import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

# Letters with an inner apostrophe; digits and punctuation separate words, a hyphen does not.
WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
MARKS: Final = ".,;:!?"
WORD_OR_MARK: Final = re.compile(rf"{WORD.pattern}|[{MARKS}]")
# Words that begin a new clause, where a caption moves on to the next motion.
CONNECTIVES: Final = frozenset({"and", "then", "before", "after", "afterwards", "finally", "while"})


def words_of(caption: str) -> list[str]:
    """Split a caption into words as the official text files do: hyphens removed, digits and punctuation dropped."""
    return WORD.findall(caption.replace("-", ""))


def word_tokens(tokens: str) -> str:
    """Keep the tokens ("word/TAG word/TAG ...") that stand for words, as the official text files do.

    Taggers also write punctuation ("./PUNCT"), numbers and split endings ("'s/PART", "n't/PART").
    """
    return " ".join(
        token for token in tokens.split() if _is_word(token.rpartition("/")[0] if "/" in token else token)
    )


def _is_word(text: str) -> bool:
    return WORD.search(text) is not None and not text.startswith(("'", "’")) and text not in ("n't", "n’t")


def clauses_of(caption: str) -> list[int]:
    """Clause index of each word of `words_of`; punctuation and words such as "then" begin a new clause."""
    parts = WORD_OR_MARK.findall(caption.replace("-", ""))
    return [number for part, number in zip(parts, clauses_of_words(parts), strict=True) if part not in MARKS]


def clauses_of_words(parts: Sequence[str]) -> list[int]:
    """Clause index of each word or punctuation mark in a list."""
    return list(accumulate(int(part in MARKS or part.casefold() in CONNECTIVES) for part in parts))


def tokens_of(caption: str) -> str:
    """Lemma and tag of every word of a caption that came without tokens: "lemma/OTHER lemma/OTHER ...".

    OTHER is the tag of the official files for words their tagger did not know; no tagger is run here.
    """
    from simplemma import lemmatize

    return " ".join(f"{lemmatize(word, lang='en').lower()}/OTHER" for word in words_of(caption))
