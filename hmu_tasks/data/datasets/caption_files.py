"""Caption files: one `caption#word/POS word/POS ...#start#end` per line, times in seconds, or bare captions."""

import math
import unicodedata
from pathlib import Path

from hmu_tasks.data.clips.clips import Caption
from hmu_tasks.data.clips.words import word_tokens, words_of
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.foreign import TEXT, read_bytes

_LONGEST = 86_400.0  # seconds; more than a day is a typo


def parse_line(line: str, *, bare: bool = False) -> Caption:
    """Parse one line; raises DataError saying what is wrong with it.

    bare: a line without '#' is a caption of the whole motion, without tokens (Motion-X's semantic labels).
    Tokens of punctuation and numbers, which taggers write, are dropped.
    A NaN time counts as 0, as in the official loader; start and end both 0 mean the whole motion.
    """
    fields = line.strip().split("#")
    if bare and len(fields) == 1 and fields[0]:
        return Caption(_spoken(fields[0]), "")
    if len(fields) != 4:
        raise DataError(f"has {len(fields)} fields between '#' signs; expected caption#tokens#start#end")
    text = _spoken(fields[0].strip())
    start, end = _seconds(fields[2], "start"), _seconds(fields[3], "end")
    if end != 0 and end <= start:
        raise DataError(f"ends at {end:g} s, before it starts at {start:g} s")
    return Caption(text, word_tokens(unicodedata.normalize("NFC", fields[1])), start, end)


def _spoken(text: str) -> str:
    """Return a caption in composed letters, so that keywords with accents are found in it."""
    if not text:
        raise DataError("has an empty caption")
    if not words_of(text):
        raise DataError(f"has the caption {text[:40]!r}, which has no word; write one or remove the line")
    return unicodedata.normalize("NFC", text)


def _seconds(field: str, name: str) -> float:
    try:
        value = float(field)
    except ValueError:
        raise DataError(f"has the {name} {field.strip()!r}, which is not a number of seconds") from None
    if math.isnan(value):
        return 0.0
    if not 0 <= value <= _LONGEST:
        raise DataError(f"has the {name} {value:g} s; expected 0 or more seconds within the motion")
    return value


def read_lines(path: Path) -> list[str]:
    """Read the lines of a UTF-8 text file with any line endings; raises DataError for another encoding."""
    try:
        raw = read_bytes(path, limit=TEXT)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(f"is not UTF-8 (line {line}, byte {error.start}); save it again as UTF-8") from error
    # str.splitlines would also split captions at form feeds and Unicode separators.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
