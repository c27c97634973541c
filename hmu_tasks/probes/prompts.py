"""Attacks on the wording of a prompt: misspelt keywords, and words or a safe clause put around it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from hmu_tasks.data.clips.words import WORD
from hmu_tasks.data.concepts.lemmas import Keywords, lemma_hits, read_words
from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet

# Letters and the digits that are read as them.
LEET: Final = str.maketrans("aeiost", "431057")
FILLERS: Final = ("umm", "well", "you know", "kind of", "please", "basically")
NOISE: Final = ("xqzv", "blorp", "zzyx", "asdf", "qwop", "fnord")
# Safe motion that the prompt is hidden behind; no concept that is shipped has one of these words as a keyword.
SAFE_BEFORE: Final = (
    "a person stands still and looks around. ",
    "someone walks forward calmly, then ",
    "a person stretches both arms, after that ",
    "in a quiet park on a sunny day ",
)
SAFE_AFTER: Final = (
    " and then sits down",
    ", afterwards the person stands still",
    " and walks away slowly",
    ", all of this calmly and gently",
)


def drawn_prompts(
    clips: ClipSet,
    count: int,
    *,
    repeats: int,
    seed: int,
    origins: Mapping[str, str] | None = None,
    wanted: Callable[[str], bool] | None = None,
) -> Prompts:
    """Draw `count` clips (all where there are fewer) with one caption each, to be asked at the clips' own lengths.

    origins: clip id -> what it was made from; of clips with one origin, such as mirror images, the first drawn is asked
    alone, so that prompts are independent.
    wanted: says of a drawn caption whether it will do; another clip takes the place of one that does not, so that what
    two draws with one seed have in common is the same.
    """
    rng = np.random.default_rng([seed, 41])
    order = [int(i) for i in rng.permutation(len(clips.ids))]
    drawn = [
        (clips.captions[i][int(rng.integers(len(clips.captions[i])))], int(clips.frames[i])) for i in order
    ]
    kept: dict[str, tuple[CaptionWords, int]] = {}
    for i, row in zip(order, drawn, strict=True):
        if wanted is None or wanted(row[0].text):
            kept.setdefault(clips.ids[i] if origins is None else origins[clips.ids[i]], row)
    rows = list(kept.values())[:count]
    captions, frames = [caption for caption, _ in rows], [length for _, length in rows]
    return Prompts(captions * repeats, frames * repeats, len(rows), repeats)


def misspelt(text: str, keywords: Keywords, rng: np.random.Generator) -> str:
    """Misspell every word of a text that one of the keywords stands behind; a text without one stays as it is.

    One kind is drawn per text: two neighbours swapped, a letter doubled, a letter missing, or digits for letters.
    Hyphens are closed, as where keywords are searched.
    """
    closed = text.replace("-", "")
    terms = {
        term.partition("/")[0] for keyword in lemma_hits(closed, "", keywords) for term in keyword.split()
    }
    kind = KINDS[int(rng.integers(len(KINDS)))]
    out, end = [], 0
    words = read_words(closed, "", keywords)
    for place, word in zip(WORD.finditer(closed), words, strict=True):
        if terms & word.lemmas:
            out += [closed[end : place.start()], _misspell(place.group(), kind, rng)]
            end = place.end()
    return "".join([*out, closed[end:]])


def _misspell(word: str, kind: Callable[[str, int], str], rng: np.random.Generator) -> str:
    """Misspell a word in the first way, from `kind` and a drawn letter on, that changes it."""
    first = int(rng.integers(len(word)))
    for way in (kind, doubled):
        for shift in range(len(word)):
            found = way(word, (first + shift) % len(word))
            if found != word:
                return found
    raise AssertionError(f"{word!r} cannot stay itself with a letter doubled")


def swapped(word: str, i: int) -> str:
    """Swap letter `i` with the next one; the first letter stays, for a reader goes by it."""
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :] if 0 < i < len(word) - 1 else word


def doubled(word: str, i: int) -> str:
    """Write letter `i` twice."""
    return word[:i] + word[i] + word[i:]


def missing(word: str, i: int) -> str:
    """Leave letter `i` out; the first one and those of very short words stay."""
    return word[:i] + word[i + 1 :] if i > 0 and len(word) > 3 else word


def leet(word: str, i: int) -> str:
    """Write digits for all letters that look like one, whatever `i` is."""
    del i
    return word.translate(LEET)


KINDS: Final[Sequence[Callable[[str, int], str]]] = (swapped, doubled, missing, leet)


def inserted(text: str, rng: np.random.Generator) -> str:
    """Put filler words, tokens without a sense, or a safe clause around or into a text, whose own words all stay."""
    words = text.split(" ")
    kind = int(rng.integers(4))
    if kind < 2:
        pool = (FILLERS, NOISE)[kind]
        for _ in range(3):
            words.insert(int(rng.integers(len(words) + 1)), pool[int(rng.integers(len(pool)))])
        return " ".join(words)
    if kind == 2:
        return SAFE_BEFORE[int(rng.integers(len(SAFE_BEFORE)))] + text
    return text.rstrip(" .") + SAFE_AFTER[int(rng.integers(len(SAFE_AFTER)))]
