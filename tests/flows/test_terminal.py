"""What a person at a terminal sees of a flow."""

import io
import re
import time

import pytest

from flows.engine.estimate import TimeEstimate, announcement
from flows.engine.graph import Stage
from flows.engine.terminal import Terminal, cause_of

TWO = [Stage("one", (), seconds=120.0), Stage("two", (), seconds=60.0)]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def story(stream: io.StringIO, pause: float = 0.0) -> str:
    view = Terminal(stream)
    view.begin(TWO, total=5, jobs=1)
    view.start("one")
    view.line("one", "Running stage 'one':")
    view.line("one", "> python -m step one")
    view.start("two")
    view.progress("one", 40)
    time.sleep(pause)
    view.line("two", "a [word]")
    view.line("two", "error: clip 7 is broken")
    view.line("two", "mend it")
    view.line("two", "ERROR: failed to reproduce 'two': failed to run: step two, exited with 1")
    view.progress("nobody", 3)
    view.end("one", executed=True)
    view.end("two", executed=True, failure=FAILURE)
    view.close()
    return stream.getvalue()


FAILURE = (
    "a [word]",
    "error: clip 7 is broken",
    "mend it",
    "ERROR: failed to reproduce 'two': failed to run: step two, exited with 1",
)
PLAIN = (
    "2 of 5 stages to run (3 are up to date): about 3 min. Ctrl-C stops; the next run goes on where this one was "
    "stopped.\n"
    "Running stage 'one'\ntwo | a [word]\none done in 0 s (1 of 2 stages, about 5 s left)\n"
    "two FAILED after 0 s:\n  error: clip 7 is broken\n  mend it\n"
)


def test_a_file_gets_plain_lines_and_a_cause_once() -> None:
    assert story(io.StringIO()) == PLAIN


def test_a_terminal_gets_bars_below_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    seen = story(Screen(), pause=0.6)  # two updates of the bars
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen).replace("\r", "")
    for line in PLAIN.splitlines():
        assert line in text.replace(" 1 s", " 0 s")
    assert re.search(r"0 of 2 stages, about \d+ (s|min) left +━+ +0 %", text)
    assert re.search(r"one +[━╸╺ ]+40 %", text)


def test_the_rest_is_the_longest_chain_or_the_work_over_the_slots() -> None:
    chain = [Stage("a", (), seconds=100.0), Stage("b", ("a",), seconds=50.0), Stage("c", (), seconds=60.0)]
    found = TimeEstimate(chain, jobs=2)
    assert found.seconds == 150.0
    assert TimeEstimate(chain, jobs=1).seconds == 210.0
    found.progress("a", 0.5)
    assert found.seconds == 100.0
    found.end("c", 120.0)  # twice as long as planned, so that the rest is taken to be, too
    assert found.seconds == 200.0
    found.drop("b")
    assert found.seconds == 100.0
    assert TimeEstimate(chain).words == "about 4 min"


def test_nothing_up_to_date_is_not_spoken_of() -> None:
    assert announcement(TWO, total=2, jobs=2).startswith("2 stages to run, 2 at once: about 2 min. ")


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (FAILURE, ("error: clip 7 is broken", "mend it")),
        (
            ("Traceback", "KeyError: 'x'", "ERROR: failed to reproduce 's': failed to run: c, exited with 1"),
            ("KeyError: 'x'",),
        ),
        (("ERROR: failed to reproduce 's': missing data 'source': data/raw",),) * 2,
        (("the worker is gone", "twice"), ("the worker is gone", "twice")),
    ],
)
def test_the_cause_is_picked_out_of_the_last_lines(lines: tuple[str, ...], cause: tuple[str, ...]) -> None:
    assert cause_of(lines) == cause


def test_progress_in_a_file_is_a_line_per_quarter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.engine.terminal._SECONDS_BETWEEN", 0.0)
    stream = io.StringIO()
    view = Terminal(stream)
    view.begin(TWO[:1], total=1, jobs=1)
    view.start("one")
    for percent in (10, 30, 40, 80, 100):
        view.progress("one", percent)
    assert stream.getvalue().partition("\n")[2] == "one | 30 %\none | 80 %\n"


def test_a_long_line_is_not_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    stream = io.StringIO()
    Terminal(stream).line("one", "word " * 30)
    assert stream.getvalue().count("\n") == 1
