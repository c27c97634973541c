"""Text of users in Markdown and its HTML: shown as it was written, never read as markup, links or code.

CommonMark 0.31 sections 2.4 (backslash escapes), 2.5 (entities), 6.1 (code spans) and GitHub's autolinks.
"""

import html
import re
import shlex
from typing import Final

_SPACES: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# Characters that change the direction of text: what is read is not what is there.
_DIRECTIONS: Final = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_MARKS: Final = re.compile(r"[\\`*\[\]~|$]|(?<!\w)_|_(?!\w)")
# What begins a heading, a quotation or a list; up to three spaces may stand before it.
_FIRST: Final = re.compile(
    r"^ *(?:#(?=#{0,5}(?:\s|$))|>|[+-](?=[\s-]|$)|=(?==*$)|[0-9](?=[0-9]{0,8}[.)](?:\s|$)))"
)
_LINKS: Final = re.compile(
    r"\b(javascript|vbscript|data|file|https?|ftp|mailto)\s*:|\b(www)\.", re.IGNORECASE
)


class Ready(str):
    """Markdown that is finished and not escaped again."""

    __slots__ = ()


def plain(text: object) -> str:
    """Escape a text so that Markdown shows it letter by letter in one line, within a table too; `Ready` stays."""
    if isinstance(text, Ready):
        return text
    line = _LINKS.sub(lambda found: f"{found[1]}\x00" if found[1] else f"{found[2]}\x01", _one_line(text))
    line = html.escape(line, quote=False).replace("&gt;", ">")  # ">" alone begins nothing within a line
    line = _MARKS.sub(lambda found: f"\\{found[0]}", line)
    line = _FIRST.sub(lambda found: f"{found[0][:-1]}&#{ord(found[0][-1])};", line)
    return Ready(line.replace("\x00", "&#58;").replace("\x01", "&#46;"))


def code(text: object) -> str:
    """Return a code span that shows a text; a backtick in it becomes a quote."""
    return Ready(f"`{_one_line(text).replace('`', chr(39)).replace('|', '¦') or ' '}`")


def shell(text: object) -> str:
    """Return a text as one word of a command line, for a block of code."""
    return Ready(shlex.quote(_one_line(text).replace("`", "'")))


def fenced(text: str) -> str:
    """Return a block of code that shows a text; nothing in it ends the block."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Ready(f"{fence}\n{_DIRECTIONS.sub('', text)}\n{fence}")


def _one_line(text: object) -> str:
    return _SPACES.sub(" ", _DIRECTIONS.sub("", str(text)))
