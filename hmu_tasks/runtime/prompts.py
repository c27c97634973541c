"""What the small text encoder makes nothing of, so that whoever asks is told instead of getting any motion."""

import re
import unicodedata

_WORD = re.compile(r"[a-z0-9']+")


def unread(prompt: str, *, most_words: int) -> str | None:
    """Say what of a prompt an encoder of English words would leave out; None if nothing.

    most_words: how many words it reads. Spaces and punctuation may be any; letters, digits and signs must be those of
    English.
    """
    for sign in prompt:
        if sign.isascii() and (sign.isprintable() or sign.isspace()):
            continue
        if unicodedata.category(sign)[0] in "PZ":
            continue
        shown = f"{sign!r} (U+{ord(sign):04X})"
        return f"the text encoder reads English letters and digits; {shown} is none"
    words = len(_WORD.findall(prompt.lower()))
    if not words:
        return "the prompt has no word that the text encoder reads"
    if words > most_words:
        return f"the prompt has {words} words; the text encoder reads the first {most_words}"
    return None
