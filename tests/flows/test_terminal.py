"""What a person at a terminal sees of a flow."""

import io
import re
import time

import pytest

from flows.engine.terminal import Terminal


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def story(stream: io.StringIO, pause: float = 0.0) -> str:
    view = Terminal(stream)
    view.begin(2)
    view.start("one")
    view.line("one", "Running stage 'one':")
    view.line("one", "> python -m step one")
    view.start("two")
    view.progress("one", 40)
    time.sleep(pause)
    view.line("two", "a [word]")
    view.progress("nobody", 3)
    view.end("one", executed=True)
    view.end("two", executed=True, failure=("last words",))
    view.close()
    return stream.getvalue()


PLAIN = "Running stage 'one'\ntwo | a [word]\none done in 0 s (1 of 2)\ntwo FAILED after 0 s\n"
FAILURE = "\ntwo failed:\n  last words\n\n"


def test_a_file_gets_plain_lines() -> None:
    assert story(io.StringIO()) == PLAIN + FAILURE


def test_a_terminal_gets_bars_below_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    seen = story(Screen(), pause=0.6)  # two updates of the bars
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen).replace("\r", "")
    for line in (*PLAIN.splitlines(), "two failed:"):
        assert line in text.replace(" 1 s", " 0 s")
    assert re.search(r"0 of 2 stages +━+ +0 %", text)
    assert re.search(r"one +[━╸╺ ]+40 %", text)
    assert text.endswith(FAILURE)


def test_progress_in_a_file_is_a_line_per_quarter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.engine.terminal._SECONDS_BETWEEN", 0.0)
    stream = io.StringIO()
    view = Terminal(stream)
    view.begin(1)
    view.start("one")
    for percent in (10, 30, 40, 80, 100):
        view.progress("one", percent)
    assert stream.getvalue() == "one | 30 %\none | 80 %\n"


def test_a_long_line_is_not_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    stream = io.StringIO()
    Terminal(stream).line("one", "word " * 30)
    assert stream.getvalue().count("\n") == 1
