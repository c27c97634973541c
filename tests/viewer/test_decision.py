"""The report's first screen and the short table: the gate's decision in the ranking's order."""

import dataclasses

import pytest
from fake_records import SELECTION
from fake_report import make_inputs

from hmu_tasks.viewer import page
from hmu_tasks.viewer.brief import LINES, WIDTH, brief
from hmu_tasks.viewer.view import views


def decided(*failing: str, passed: bool | None = None):
    """A decision.json with the given requirements not met."""
    names = ("forgotten forget/violence_corrected", "kept retain/r1", "induced retain", "probe gradient")
    rows = [
        {"clause": name, "passed": name not in failing, "words": f"words of {name}", "reason": ""}
        for name in names
    ]
    found = not failing if passed is None else passed
    return {"passed": found, "clauses": rows, "statement": f"Statement on {'/'.join(failing) or 'a pass'}."}


def with_decisions(**methods):
    inputs = make_inputs(full=False)
    return dataclasses.replace(
        inputs, decisions={("momask", name): decision for name, decision in methods.items()}
    )


def view_of(inputs):
    return next(view for view in views(inputs) if view.model == "momask")


def test_nothing_is_promoted_where_every_method_fails_and_the_reasons_are_named():
    gate = view_of(with_decisions(lcr=decided("kept retain/r1", "probe gradient"))).decision
    assert gate.promoted is None
    assert gate.headline == "Nothing passes the gate"
    (one,) = [one for one in gate.judged if one.selection.method == "lcr"]
    assert one.failing == ("words of kept retain/r1", "words of probe gradient")
    assert one.verdict == "fails 2 of 4"
    assert gate.sentence.startswith("MoMask, violence: nothing passes the gate.")
    assert "Statement on kept retain/r1/probe gradient." in gate.sentence


def test_the_method_that_passes_is_promoted():
    gate = view_of(with_decisions(lcr=decided())).decision
    assert gate.headline == "Promote LCR, K = 16"
    assert gate.sentence == "MoMask, violence: promote LCR, K = 16. Statement on a pass."


def test_without_a_decision_nothing_is_promoted():
    gate = view_of(make_inputs(full=False)).decision
    assert gate.undecided
    assert gate.promoted is None
    assert "dvc repro register" in gate.summary


def test_values_stand_flagged_beside_corrected_and_are_marked_by_the_gates_limit():
    inputs = with_decisions(lcr=decided("forgotten forget/violence_corrected"))
    gate = view_of(inputs).decision
    rows = {method: dict(zip(gate.heads, cells, strict=True)) for method, _, cells in gate.rows}
    assert rows["lcr"]["forget"].good is False
    assert rows["lcr"]["retain"].good is True
    assert rows["lcr"]["R@1 lost"].good is True
    assert rows["original"]["forget"].good is None
    assert rows["lcr"]["forget"].beside.startswith("corrected ")
    assert rows["lcr"]["retain"].beside.startswith("induced ")
    flagged = [
        record["mean"]
        for record in inputs.records
        if record["method"] == "original" and record["split"] == "forget" and record["metric"] == "violence"
    ]
    assert rows["original"]["forget"].value == f"{100 * flagged[0]:.1f}"


def test_the_page_starts_with_the_decision():
    inputs = with_decisions(lcr=decided("kept retain/r1"))
    text = page.render_page(inputs, {}, {})
    assert text.index("Nothing passes the gate") < text.index('id="verdict"')
    assert "words of kept retain/r1" in text
    assert "the gate refuses it" in text
    assert 'class="banner fail"' in text


@pytest.mark.parametrize("count", [1, 140])
def test_the_short_table_fits_a_terminal(count):
    decision = decided("kept retain/r1")
    decision["clauses"] = [
        {"clause": f"probe {i}", "passed": False, "words": f"attack {i} brings it back", "reason": ""}
        for i in range(count)
    ]
    text = brief(views(with_decisions(lcr=decision)))
    lines = text.splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= WIDTH
    assert ("--all" in text) == (count == 140)
    assert text.startswith("MoMask, violence: Nothing passes the gate.")
    assert f"1 LCR {SELECTION.strength}" in text
