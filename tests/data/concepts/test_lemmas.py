"""The lemma rule: whole words, parts of speech, phrases, harmless contexts, misspellings."""

import pytest
from hypothesis import given, settings
from hypothesis.strategies import text

from hmu_tasks.data.clips.words import clauses_of, words_of
from hmu_tasks.data.concepts.concepts import load_concept
from hmu_tasks.data.concepts.lemmas import lemma_hits, prepare
from hmu_tasks.data.concepts.spelling import edits, forms, intended, spellings

CONCEPT = load_concept("violence")
VIOLENCE = prepare(CONCEPT.keywords("lemma", "humanml3d"), CONCEPT.harmless)


@pytest.mark.parametrize(
    ("caption", "tokens", "expected"),
    [
        ("a person jogging forward whith their arms swinging", "", ()),
        ("A man KICKS the bag", "", ("kick",)),
        ("he punched and was hitting back", "", ("punch", "hit")),
        ("a kick", "a/DET kick/NOUN", ("kick",)),
        ("he enjoys the kickback", "", ()),
        ("he boxes with the air", "he/PRON box/VERB with/ADP the/DET air/NOUN", ("box/VERB",)),
        ("he lifts a box", "he/PRON lift/VERB a/DET box/NOUN", ()),
        ("he boxes with the air", "he/OTHER boxes/OTHER with/OTHER the/OTHER air/OTHER", ("box/VERB",)),
        ("he carries two boxes", "", ()),
        ("he lifts a box and walks away", "", ()),
        ("walks to the beat", "", ()),
        ("someone beats the man", "", ("beat/VERB",)),
        ("a white cat shook the architecture", "", ()),
        ("she unboxes a parcel", "", ()),
        ("a side-kick", "", ("sidekick",)),
        ("", "", ()),
    ],
)
def test_whole_words_with_their_part_of_speech(caption: str, tokens: str, expected: tuple[str, ...]) -> None:
    assert lemma_hits(caption, tokens, VIOLENCE) == expected


def test_a_noun_tag_right_after_the_subject_is_a_tagger_error() -> None:
    slip = "A/DET human/NOUN box/NOUN with/ADP his/DET right/ADJ hand/NOUN"
    assert lemma_hits("A human boxes with his right hand.", slip, VIOLENCE) == ("box/VERB",)
    right = "A/DET human/NOUN see/VERB box/NOUN"
    assert lemma_hits("A human sees boxes.", right, VIOLENCE) == ()


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("practising kung fu in the yard", ("kung fu",)),
        ("some form of Martial Arts", ("martial art",)),
        ("martial music and fine art", ()),
        ("he goes into a defense position", ("defense position",)),
    ],
)
def test_phrases_are_adjacent_words(caption: str, expected: tuple[str, ...]) -> None:
    assert lemma_hits(caption, "", VIOLENCE) == expected


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("he kicks the ball", ()),
        ("bouncing on the balls of his feet he kicks", ("kick",)),
        ("a tap dance with a kick", ()),
        ("he gets kicked and stumbles", ()),
        ("he gets up and kicks", ("kick",)),
        ("she is hitting a bag", ("hit",)),
        ("she is hit in the back", ()),
        ("he beats a drum and punches the drummer", ("punch",)),
        ("he kicks high, then throws a ball", ("kick",)),
        ("he kicks a ball. then he kicks the bag", ("kick",)),
        ("he plays golf and hits someone", ("hit",)),
    ],
)
def test_a_harmless_phrase_cancels_its_keyword_in_the_clause(caption: str, expected: tuple[str, ...]) -> None:
    assert lemma_hits(caption, "", VIOLENCE) == expected


def test_exact_forms_need_a_word_for_each_token() -> None:
    """As tokens are lemmas, "is hit" and "is hitting" differ only in the caption."""
    tokens = "he/PRON be/AUX hit/VERB something/PRON"
    assert lemma_hits("he is hitting something", tokens, VIOLENCE) == ("hit",)
    assert lemma_hits("he is hit something", tokens, VIOLENCE) == ()
    assert lemma_hits("he is hit by something", tokens, VIOLENCE) == (
        "hit",
    )  # one word more than there are tokens


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("kciks", "kick"),
        ("punchs", "punch"),
        ("hiting", "hit"),
        ("fightig", "fight"),
        ("fihgts", "fight"),
        ("kickin", "kick"),
        ("puched", None),  # equally close to "pushed", which KIT-ML's captions mean
        ("puches", None),
        ("kicsk", None),  # or "kiosk"
        ("whith", None),
        ("kick", None),  # spelt correctly, so not a misspelling
        ("airkick", None),  # likewise, a keyword that is in no dictionary
        ("licks", None),
        ("bat", None),
    ],
)
def test_misspelt_words_count_if_unambiguous(word: str, meant: str | None) -> None:
    assert intended(word, VIOLENCE.misspelt) == meant
    if meant:
        assert lemma_hits(f"A Person {word.upper()} twice.", "", VIOLENCE) == (meant,)


def test_spellings_are_forms_and_strings_one_edit_away() -> None:
    targets = spellings(["hit", "kick"])
    assert {"hited", "hitting", "hiting", "kcik", "kickks", "kicks"} <= set(targets)
    assert "hlt" not in targets  # three letters: too many words are one edit away
    assert "" not in targets
    assert {"hitting", "hit", "hits"} <= forms("hit")
    assert edits("ab") >= {"a", "b", "ba", "xb", "abx", "axb"}
    assert "ab" not in edits("ab")


def test_clauses_begin_at_punctuation_and_connectives() -> None:
    caption = "He side-kicks twice, then turns. 2 steps and a jump"
    assert list(zip(words_of(caption), clauses_of(caption), strict=True)) == [
        *(("He", 0), ("sidekicks", 0), ("twice", 0)),
        *(("then", 2), ("turns", 2), ("steps", 3)),
        *(("and", 4), ("a", 4), ("jump", 4)),
    ]
    assert clauses_of("") == []
    assert clauses_of("90⁰ turn") == [0, 0]  # a letter by Unicode class, though in no alphabet


@settings(deadline=None)  # the first call loads the dictionary
@given(text())
def test_any_caption_and_tokens_are_read(caption: str) -> None:
    assert len(clauses_of(caption)) == len(words_of(caption))
    lemma_hits(caption, "", VIOLENCE)
    lemma_hits("he kicks", caption, VIOLENCE)


def test_tokens_that_do_not_align_with_the_words_are_still_read() -> None:
    tokens = "he/PRON 2x/NUM kick/VERB a/DET ball/NOUN and/CCONJ kick/VERB"
    assert lemma_hits("he 2x kicks a ball and kicks", tokens, VIOLENCE) == ("kick",)
    assert lemma_hits("n/a", "he/PRON kick/VERB // /", VIOLENCE) == ("kick",)
