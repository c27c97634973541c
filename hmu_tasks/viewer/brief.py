"""The decision and the ranking in at most 23 lines of 100 columns, for a terminal and for pages of other tools."""

import textwrap
from collections.abc import Sequence

from hmu_tasks.viewer.decision import Judged, Shown
from hmu_tasks.viewer.grid import Grid, grid_text
from hmu_tasks.viewer.summary import short_name
from hmu_tasks.viewer.view import ModelView

WIDTH = 100
LINES = 23
HEADS = {
    "benign, concept's words": "benign*",
    "worst attack": "attack %",
    "R@1 lost": "R@1 lost",
}
NOTE = "flagged % (corrected in brackets); benign*: with the concept's words; ✗: not within the gate's limit"


def brief(found: Sequence[ModelView]) -> str:
    """Write each model's decision, its table and, as far as there is room, what each method fails on."""
    blocks = [_block(view) for view in found]
    kept = [line for head, _ in blocks for line in head]
    room = max(0, LINES - len(kept) - 1)
    reasons = [line for _, lines in blocks for line in lines]
    if len(reasons) > room:
        reasons = [*reasons[: max(0, room - 1)], "… `table --all` has the rest"]
    return "\n".join([*kept, NOTE, *reasons]) + "\n"


def _block(view: ModelView) -> tuple[list[str], list[str]]:
    """Lines of the decision and the table, and lines of what each method fails on."""
    gate = view.decision
    head = textwrap.wrap(f"{view.name}, {gate.concept}: {gate.headline}. {gate.summary}", WIDTH)
    table = grid_text(_grid(view)).rstrip("\n").split("\n") if gate.rows else []
    reasons = [line for one in gate.judged if one.failing for line in _reasons(one)]
    return [*head, *table], reasons


def _reasons(one: Judged) -> list[str]:
    text = f"{one.name} {one.verdict}: {'; '.join(one.failing)}"
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ")


def _grid(view: ModelView) -> Grid:
    gate = view.decision
    ranks = {one.selection.method: one.rank for one in view.ranking.methods}
    kept = [i for i, head in enumerate(gate.heads) if head != "retain"]
    verdicts = {one.selection.method: one for one in gate.judged}
    rows = []
    for method, _, cells in gate.rows:
        one = verdicts.get(method)
        outcome = "" if one is None else _outcome(one)
        place = "" if one is None else f"{ranks.get(method) or '–'} "
        strength = "" if one is None or one.selection.strength is None else f" {one.selection.strength}"
        rows.append((f"{place}{short_name(method)}{strength}", *(_cell(cells[i]) for i in kept), outcome))
    heads = (HEADS.get(gate.heads[i], gate.heads[i]) for i in kept)
    return Grid(("rank, method", *heads, "gate"), tuple(rows))


def _outcome(one: Judged) -> str:
    if one.passed is None:
        return "undecided"
    return "passes" if one.passed else f"{len(one.failing)} fail"


def _cell(cell: Shown) -> str:
    mark = "✗" if cell.good is False else ""
    corrected = cell.beside.removeprefix("corrected ") if cell.beside.startswith("corrected ") else ""
    return f"{mark}{cell.value}" + (f" ({corrected})" if corrected else "")
