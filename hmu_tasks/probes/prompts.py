"""Attacks on the wording of a prompt: misspelt keywords, and words or a safe clause added around it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from hmu_tasks.data.clips.words import WORD
from hmu_tasks.data.concepts.lemmas import Keywords, lemma_hits, read_words
from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet

# Letters and the digits that resemble them.
LEET: Final = str.maketrans("aeiost", "431057")
FILLERS: Final = ("umm", "well", "you know", "kind of", "please", "basically")
NOISE: Final = ("xqzv", "blorp", "zzyx", "asdf", "qwop", "fnord")
# Safe motions to hide the prompt behind; no shipped concept has one of these words as a keyword.
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


def sampled_prompts(
    clips: ClipSet,
    count: int,
    *,
    repeats: int,
    seed: int,
    origins: Mapping[str, str] | None = None,
    wanted: Callable[[str], bool] | None = None,
) -> Prompts:
    """Make prompts of `sampled_clips`, to be generated at the clips' own lengths."""
    rows = sampled_clips(clips, count, seed=seed, origins=origins, wanted=wanted)
    captions, frames = [caption for _, caption in rows], [int(clips.frames[i]) for i, _ in rows]
    return Prompts(captions * repeats, frames * repeats, len(rows), repeats)


def sampled_clips(
    clips: ClipSet,
    count: int,
    *,
    seed: int,
    origins: Mapping[str, str] | None = None,
    wanted: Callable[[str], bool] | None = None,
) -> list[tuple[int, CaptionWords]]:
    """Sample `count` clips (all if there are fewer) with one caption each, as indices and captions.

    origins: clip id -> what it was made from; of clips with one origin, such as mirror images, only the first sampled
    one is used, so that prompts are independent.
    wanted: whether a sampled caption is accepted; another clip replaces one that is not, so that two samples with one
    seed share the prompts that both accept.
    """
    rng = np.random.default_rng([seed, 41])
    order = [int(i) for i in rng.permutation(len(clips.ids))]
    sampled = [(i, clips.captions[i][int(rng.integers(len(clips.captions[i])))]) for i in order]
    kept: dict[str, tuple[int, CaptionWords]] = {}
    for i, caption in sampled:
        if wanted is None or wanted(caption.text):
            kept.setdefault(clips.ids[i] if origins is None else origins[clips.ids[i]], (i, caption))
    return list(kept.values())[:count]


def misspelt(text: str, keywords: Keywords, rng: np.random.Generator) -> str:
    """Misspell every word of a text that matches a keyword; a text without one is unchanged.

    One kind is sampled per text: two neighbours swapped, a letter doubled, a letter missing, or digits for letters.
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
    """Misspell a word by the first kind and letter, from `kind` and a random letter on, that changes it."""
    first = int(rng.integers(len(word)))
    for change in (kind, doubled):
        for shift in range(len(word)):
            found = change(word, (first + shift) % len(word))
            if found != word:
                return found
    raise AssertionError(f"{word!r} cannot stay itself with a letter doubled")


def swapped(word: str, i: int) -> str:
    """Swap letter `i` with the next one; the first letter stays, so that the word remains readable."""
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :] if 0 < i < len(word) - 1 else word


def doubled(word: str, i: int) -> str:
    """Write letter `i` twice."""
    return word[:i] + word[i] + word[i:]


def missing(word: str, i: int) -> str:
    """Leave letter `i` out; the first one and those of very short words stay."""
    return word[:i] + word[i + 1 :] if i > 0 and len(word) > 3 else word


def leet(word: str, i: int) -> str:
    """Replace all letters that resemble a digit, whatever `i` is."""
    del i
    return word.translate(LEET)


KINDS: Final[Sequence[Callable[[str, int], str]]] = (swapped, doubled, missing, leet)


def inserted(text: str, rng: np.random.Generator) -> str:
    """Add filler words, meaningless tokens, or a safe clause to a text, whose own words all stay."""
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
