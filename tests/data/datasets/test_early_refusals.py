"""What a later step would refuse, ingest says or mends: tokens of taggers, captions without a word, twins apart."""

import unicodedata

import pytest
from raw_folder import WALK, add, read, refused

from hmu_tasks.data.clips.clips import Caption
from hmu_tasks.data.clips.words import word_tokens
from hmu_tasks.data.concepts.lemmas import lemma_hits, prepare
from hmu_tasks.data.datasets.caption_files import parse_line
from hmu_tasks.metrics.forgetting import MASK, mask_tokens
from hmu_tasks.runtime.errors import DataError


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        (
            "a/DET man/NOUN kick/VERB ,/PUNCT then/ADV stop/VERB ./PUNCT",
            "a/DET man/NOUN kick/VERB then/ADV stop/VERB",
        ),
        ("the/DET man/NOUN 's/PART leg/NOUN", "the/DET man/NOUN leg/NOUN"),
        ("he/PRON do/AUX n't/PART run/VERB", "he/PRON do/AUX run/VERB"),
        ("he/PRON do/AUX n’t/PART 2/NUM step/NOUN 3.5/NUM", "he/PRON do/AUX step/NOUN"),
        ("walk/VERB  /SPACE and/CCONJ -/PUNCT ///SYM", "walk/VERB and/CCONJ"),
        ("fouetté/NOUN Überschlag/NOUN", "fouetté/NOUN Überschlag/NOUN"),
        ("", ""),
    ],
)
def test_tokens_that_are_no_words_are_dropped(tokens: str, kept: str) -> None:
    assert word_tokens(tokens) == kept
    assert parse_line(f"a man#{tokens}#0.0#0.0").tokens == kept


@pytest.mark.parametrize("text", ["123", "...", "4 / 5", "-"])
@pytest.mark.parametrize("fields", ["##0.0#0.0", ""])
def test_a_caption_without_a_word_is_refused_or_left_out(raw, text: str, fields: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match="no word; write one or remove the line"):
        parse_line(f"{text}{fields}", bare=True)
    add(raw, "x", text=f"{WALK}{text}##0.0#0.0\n")
    (clip,) = refused(raw, "x", "bad text line", "no word")
    assert [caption.text for caption in clip.captions] == ["a person walks"]


def test_letters_with_accents_are_one_character_however_they_were_typed() -> None:
    typed = unicodedata.normalize(
        "NFD", "a dancer does a fouetté#a/DET dancer/NOUN do/VERB a/DET fouetté/NOUN#0#0"
    )
    caption = parse_line(typed)
    assert caption == Caption("a dancer does a fouetté", "a/DET dancer/NOUN do/VERB a/DET fouetté/NOUN")
    assert lemma_hits(caption.text, caption.tokens, prepare(["fouetté"])) == ("fouetté",)


@pytest.mark.parametrize("keyword", ["fouetté", "überschlag", "удар", "plié", "kick"])
def test_what_the_lemma_rule_finds_is_masked(keyword: str) -> None:
    tokens = f"a/DET dancer/NOUN do/VERB {keyword}/NOUN {keyword}er/NOUN"
    assert lemma_hits(f"a dancer does {keyword} {keyword}er", tokens, prepare([keyword])) == (keyword,)
    assert mask_tokens(tokens, [keyword]) == f"a/DET dancer/NOUN do/VERB {MASK}/NOUN {keyword}er/NOUN"


def test_a_twin_in_another_split_is_left_out(raw) -> None:  # type: ignore[no-untyped-def]
    add(raw, "000001")
    add(raw, "M000001", split="val")
    add(raw, "000002", split="val")
    clips = refused(raw, "M000001", "twin apart", "val.txt names it, but not its original 000001")
    assert [clip.clip_id for clip in clips] == ["000001", "000002"]


def test_no_limit_of_a_later_step_is_needed_for_what_was_read(raw) -> None:  # type: ignore[no-untyped-def]
    add(
        raw,
        "x",
        text="A man kicks, then stops.#a/DET man/NOUN kick/VERB ,/PUNCT then/ADV stop/VERB ./PUNCT#0.0#0.0",
    )
    clips, skipped, _ = read(raw)
    assert skipped == []
    assert len(clips[0].captions[0].tokens.split()) == 5
