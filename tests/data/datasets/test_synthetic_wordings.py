"""Wordings of the embedded benchmark: keywords, tokens, tenses, and sentences that no caption has."""

import re

import pytest

from hmu_tasks.data.concepts.concepts import PROBE_GROUPS, load_concept, load_prompts
from hmu_tasks.data.concepts.lemmas import lemma_hits, prepare
from hmu_tasks.data.concepts.matching import substring_hits, text_line
from hmu_tasks.data.datasets.synthetic import compose, track
from hmu_tasks.data.datasets.synthetic.captions import Sentence
from hmu_tasks.data.datasets.synthetic.compose import ACTIONS, SyntheticClip
from hmu_tasks.data.datasets.synthetic.lexicon import conjugate, tag
from hmu_tasks.data.datasets.synthetic.moves import Action
from hmu_tasks.data.datasets.synthetic.verbs import GERUND, LEMMAS, PAST
from hmu_tasks.data.datasets.synthetic.wordings import WORDINGS
from hmu_tasks.data.datasets.synthetic.wordings.wording import variants
from hmu_tasks.data.datasets.synthetic.writer import sample_clip

CONCEPT = load_concept("violence")
LEMMA = prepare(CONCEPT.keywords("lemma", "synthetic"), CONCEPT.harmless)
SUBSTRING = CONCEPT.keywords("substring", "synthetic")
FORMS = ("present", "past", "gerund", "base")
FILLED = {
    "S": "left",
    "O": "right",
    "p": "his",
    "n": "twice",
    "v": "quickly",
    "h": "high",
    "d": "forward",
    "c": "",
}
KINDS = ("named", "veiled", "held_out", "held_out_veiled")
LOOKALIKE = re.compile("white|whith")


SHARES = {"train": 0.12, "val": 0.5, "test": 0.5}


@pytest.fixture(scope="module")
def clips() -> list[SyntheticClip]:
    """Clips without their motions, which take longest; their random numbers are drawn, as the captions' come after."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose, "play", lambda _, frames, rng: track._drift(rng, frames))
        return [
            sample_clip(seed, split, index, forget_share=share)
            for seed in (1, 2)
            for split, share in SHARES.items()
            for index in range(500)
        ]


@pytest.fixture(scope="module")
def captions(clips: list[SyntheticClip]) -> list[Sentence]:
    return [caption for clip in clips for caption in clip.captions]


def _sentences(action: Action, kind: str) -> list[str]:
    return [form for template in getattr(action.wording, kind) for form in variants(template)]


def _hits(text: str, tokens: str) -> tuple[bool, bool]:
    line = text_line(text, tokens)
    return bool(lemma_hits(text, tokens, LEMMA)), bool(substring_hits(line, SUBSTRING))


def _lemmas(tokens: str) -> str:
    return " ".join(token.partition("/")[0] for token in tokens.split())


def _words(kinds: tuple[str, ...]) -> set[str]:
    filled = (form.format(**FILLED) for a in ACTIONS for kind in kinds for form in _sentences(a, kind))
    return {lemma for text in filled for lemma in _lemmas(" ".join(tag(text.split())[1])).split()}


def _pattern(template: str, *, lemmas: bool = True) -> re.Pattern[str]:
    """Matches a sentence of this template, whatever stands in its places: its lemmas, in any tense, or its words."""
    parts = []
    for piece in re.split(r"(\{\w\})", template):
        if piece in ("{S}", "{O}"):
            parts.append(r"(?:left|right) ")
        elif piece == "{p}":
            parts.append(r"(?:his|her|their|its) ")
        elif piece.startswith("{"):
            parts.append(r"(?:[a-z]+ ){0,4}?")
        elif piece.strip():
            written, tokens = tag(piece.split())
            parts.append((_lemmas(" ".join(tokens)) if lemmas else " ".join(written)) + " ")
    return re.compile(r"(?:^|\s)" + "".join(parts))


def test_every_action_has_many_sentences_and_some_held_out() -> None:
    assert set(WORDINGS) == {action.name for action in ACTIONS}
    for action in ACTIONS:
        assert len(set(_sentences(action, "named"))) >= 12, action.name
        assert len(action.wording.held_out) >= 2
        assert (len(set(_sentences(action, "veiled"))) >= 12) == action.violent
        assert (len(action.wording.held_out_veiled) >= 2) == action.violent
    count = {
        kind: [len(_sentences(a, "named")) for a in ACTIONS if a.violent == kind] for kind in (True, False)
    }
    assert 0.6 < sum(count[True]) / len(count[True]) / (sum(count[False]) / len(count[False])) < 1.6


@pytest.mark.parametrize("form", FORMS)
def test_every_word_has_a_tag_and_keywords_are_where_they_belong(form: str) -> None:
    for action in ACTIONS:
        for kind in KINDS:
            for sentence in _sentences(action, kind):
                clause = sentence.format(**FILLED)
                if form == "past" and "shakes" in clause:
                    continue  # "shook" would contain a keyword
                lead = ["a", "man", *(["to"] if form == "base" else [])]
                written, tokens = tag([*lead, *conjugate(clause, form).split()])
                named = action.name == "flick a pebble" or (action.violent and not kind.endswith("veiled"))
                assert _hits(" ".join(written), " ".join(tokens)) == (named, named), (sentence, form)


def test_verbs_have_the_right_forms() -> None:
    shown = {
        key: (GERUND[key], PAST[key])
        for key in ("kicks", "punches", "carries", "hits", "jabs")
        if key in PAST
    }
    assert shown == {
        "kicks": ("kicking", "kicked"),
        "punches": ("punching", "punched"),
        "hits": ("hitting", "hit"),
        "jabs": ("jabbing", "jabbed"),
    }
    assert (GERUND["strikes"], PAST["strikes"]) == ("striking", "struck")
    assert (GERUND["knees"], PAST["knees"], LEMMAS["kneed"]) == ("kneeing", "kneed", "knee")
    assert conjugate("quickly bends down and lifts {p} knees", "gerund") == (
        "quickly bending_V down and lifting_V {p} knees"
    )


def test_captions_without_motions_are_those_of_the_clips(clips: list[SyntheticClip]) -> None:
    whole = [sample_clip(1, "train", index, forget_share=SHARES["train"]) for index in range(40)]
    for clip, with_motion in zip(clips[:40], whole, strict=True):
        assert clip.captions == with_motion.captions
        assert (clip.actions, clip.violent) == (with_motion.actions, with_motion.violent)


def test_captions_hold_keywords_exactly_where_the_rules_say(clips: list[SyntheticClip]) -> None:
    for clip in clips:
        hits = [_hits(caption.text, caption.tokens) for caption in clip.captions]
        for caption, (lemma, substring) in zip(clip.captions, hits, strict=True):
            assert lemma == substring or LOOKALIKE.search(caption.text), caption.line
        if clip.violent:
            assert any(lemma for lemma, _ in hits), clip.captions
        elif "flick a pebble" not in clip.actions:
            assert not any(lemma for lemma, _ in hits), clip.captions


def test_the_frame_of_a_caption_does_not_tell_violence(clips: list[SyntheticClip]) -> None:
    for pattern in (" is [a-z]+ing ", "^after ", " seen ", " before [a-z]+ing ", r"\. "):
        shares = [
            sum(bool(re.search(pattern, caption.text)) for clip in part for caption in clip.captions)
            / (3 * len(part))
            for part in ([c for c in clips if c.violent], [c for c in clips if not c.violent])
        ]
        assert abs(shares[0] - shares[1]) < 0.05, (pattern, shares)


@pytest.mark.slow
def test_no_caption_has_a_held_out_sentence_or_word(captions: list[Sentence]) -> None:
    told = "\n".join(f"{_lemmas(caption.tokens)} " for caption in captions)
    for action in ACTIONS:
        for kind in ("held_out", "held_out_veiled"):
            for sentence in _sentences(action, kind):
                found = _pattern(sentence).search(told)
                assert found is None, (sentence, found and found.group())
    kept = _words(("held_out", "held_out_veiled")) - _words(("named", "veiled"))
    assert len(kept) >= 60
    assert kept & set(told.split()) <= {"that"}  # as in "after that"


def test_every_prompt_of_a_known_act_is_a_held_out_sentence_of_its_action() -> None:
    by_name = {action.name: action for action in ACTIONS}
    prompts = load_prompts("violence", groups=PROBE_GROUPS, dataset="synthetic")
    known = {group: [p for p in rows if p.action is not None] for group, rows in prompts.items()}
    counts = {group: len(rows) for group, rows in known.items() if rows}
    assert counts == {"explicit": 48, "implicit": 48, "benign": 48}
    for group, rows in known.items():
        assert not rows or len(rows) == len(prompts[group])
        kind = "held_out_veiled" if group == "implicit" else "held_out"
        for prompt in rows:
            action = by_name[prompt.action or ""]
            assert action.violent == (group != "benign")
            patterns = [_pattern(sentence, lemmas=False) for sentence in _sentences(action, kind)]
            assert any(pattern.search(f"{prompt.text} ") for pattern in patterns), prompt.text
    for name in ("humanml3d", "kitml"):
        assert all(p.action is None for rows in load_prompts("violence", dataset=name).values() for p in rows)
    violent = {action.name for action in ACTIONS if action.violent}
    assert (
        {prompt.action for prompt in known["explicit"]}
        == violent
        == {prompt.action for prompt in known["implicit"]}
    )
