"""What the small text encoder would leave out of a prompt is said."""

import pytest

from hmu_tasks.runtime.prompts import unread


@pytest.mark.parametrize(
    "prompt", ["a man kicks", "A man's 2 kicks – then bows…", "“walk”\tand\nturn", "it's fine!", "x " * 48]
)
def test_english_is_read(prompt: str) -> None:
    assert unread(prompt, most_words=48) is None


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("человек бьёт ногой", "'ч' (U+0447) is none"),
        ("一个人踢腿", "U+4E00"),
        ("a man кicks", "'к' (U+043A)"),  # one letter of another script inside an English word
        ("a café", "'é' (U+00E9)"),
        ("a man 👊", "U+1F44A"),
        ("kick\u200bs", "U+200B"),
        ("٣ kicks", "U+0663"),
        ("a\x00b", "U+0000"),
        ("?! –", "no word that the text encoder reads"),
        ("x " * 49, "has 49 words; the text encoder reads the first 48"),
    ],
)
def test_what_is_left_out_is_said(prompt: str, words: str) -> None:
    assert words in str(unread(prompt, most_words=48))
