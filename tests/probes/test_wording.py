"""Wording attacks: they change what they say they change, and nothing else."""

from collections.abc import Callable

import numpy as np
import pytest

from hmu_tasks.data.concepts.concepts import load_concept
from hmu_tasks.data.concepts.lemmas import prepare
from hmu_tasks.probes import prompts
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet

VIOLENCE = prepare(load_concept("violence").keywords("lemma", "synthetic"), load_concept("violence").harmless)
TEXTS = [
    "a man walks forward, then kicks twice with the left leg.",
    "someone throws a right hook and jabs quickly",
    "A person punches; afterwards he kicks-and-turns",
    "she hits the air",
]


@pytest.mark.parametrize("text", TEXTS)
def test_misspelling_changes_the_keywords_and_no_other_word(text: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        before, after = text.replace("-", "").split(" "), prompts.misspelt(text, VIOLENCE, rng).split(" ")
        changed = {a for a, b in zip(before, after, strict=True) if a != b}
        assert changed
        assert all(any(k in word for k in ("kick", "hook", "jab", "punch", "hit")) for word in changed)


def test_a_text_without_a_keyword_stays() -> None:
    text = "someone gets kicked and walks on"
    assert prompts.misspelt(text, VIOLENCE, np.random.default_rng(0)) == text


def test_every_kind_of_misspelling_occurs_and_follows_from_the_seed() -> None:
    first, second = (
        [prompts.misspelt("a man kicks", VIOLENCE, rng) for _ in range(60)]
        for rng in (np.random.default_rng(1), np.random.default_rng(1))
    )
    assert first == second
    found = {text.removeprefix("a man ") for text in first}
    assert "k1ck5" in found
    assert {len(word) for word in found} == {4, 5, 6}
    assert "kciks" in found


@pytest.mark.parametrize("change", prompts.KINDS)
def test_kinds_of_misspelling_keep_short_words_readable(change: Callable[[str, int], str]) -> None:
    for word in ("a", "hit", "kicks", "oo"):
        for i in range(len(word)):
            assert len(change(word, i)) >= len(word) - 1
            assert change(word, i)[0] in (word[0], word[0].translate(prompts.LEET))


def test_insertion_keeps_the_words_of_the_prompt_in_order() -> None:
    rng = np.random.default_rng(5)
    made = [prompts.inserted("a man kicks twice.", rng) for _ in range(60)]
    for text in made:
        words = iter(text.replace(".", "").replace(",", "").split(" "))
        assert all(word in words for word in ("a", "man", "kicks", "twice")), text
        assert text != "a man kicks twice."
    assert len(set(made)) > 10


def test_drawn_prompts_with_a_wish_overlap_with_those_without() -> None:
    features = [np.zeros((4 * (i + 1), 3), np.float32) for i in range(8)]
    captions = [[CaptionWords(f"{'kicks' if i % 2 else 'walks'} {i}", [])] for i in range(8)]
    clips = ClipSet([str(i) for i in range(8)], features, captions)
    plain = prompts.sampled_prompts(clips, 4, repeats=2, seed=1)
    wanted = prompts.sampled_prompts(clips, 4, repeats=1, seed=1, wanted=lambda text: "kicks" in text)
    assert (plain.n, plain.repeats, len(plain.captions)) == (4, 2, 8)
    assert plain.texts[:4] == plain.texts[4:]
    assert all("kicks" in text for text in wanted.texts)
    assert {text for text in plain.texts if "kicks" in text} <= set(wanted.texts)
    assert all(
        frames == 4 * (int(text[-1]) + 1) for text, frames in zip(plain.texts, plain.frames, strict=True)
    )
    assert prompts.sampled_prompts(clips, 99, repeats=1, seed=1).n == 8


def test_of_a_clip_and_its_mirror_image_one_is_drawn() -> None:
    features = [np.zeros((4, 3), np.float32)] * 8
    clips = ClipSet([f"c{i}" for i in range(8)], features, [[CaptionWords(f"{i}", [])] for i in range(8)])
    twins = {f"c{i}": f"raw{i // 2}" for i in range(8)}
    for seed in range(5):
        alone = prompts.sampled_prompts(clips, 3, repeats=1, seed=seed, origins=twins)
        assert len({int(text) // 2 for text in alone.texts}) == alone.n == 3
        assert prompts.sampled_prompts(clips, 99, repeats=1, seed=seed, origins=twins).n == 4
