"""The ranking as a table: rank, gap closed, retain loss, damage-sensitive metrics against D_r, worst attack."""

from hmu_tasks.viewer.attacks import Attacks
from hmu_tasks.viewer.grid import Grid
from hmu_tasks.viewer.ranking import OVERSHOT, Distance, Ranking
from hmu_tasks.viewer.summary import name_of
from hmu_tasks.viewer.table import CLOSURE, VIOLENCE, Cell

OVERSHOT_NAMES = {"fid": "FID gap %", "mm_safe": "MM-Safe gap %", "diversity": "Div gap %"}
MEASURE_NAMES = {
    CLOSURE + VIOLENCE: "gap closed %",
    VIOLENCE: "violence %",
    CLOSURE + "fid": "FID gap closed %",
    "ncs1": "NCS@1 %",
}


def ranking_grid(ranking: Ranking, attacks: Attacks) -> Grid | None:
    """Format the ranking; None if there is no method.

    Distances are the share of the gap between original and D_r that was closed: 100 % is D_r, more is overshoot,
    below 0 is away from D_r. Where the gap is not defined, the difference to D_r is shown.
    """
    if not ranking.methods:
        return None
    shown = [metric for metric in OVERSHOT if any(metric in one.distances for one in ranking.methods)]
    attacked = any(attacks.worst(one.selection.method, one.selection.strength) for one in ranking.methods)
    measured = [MEASURE_NAMES[ranking.measure.metric]] if ranking.measure else []
    head = ["rank and method", *measured, "R@1 lost", "retain FID +"]
    head += [OVERSHOT_NAMES[metric] for metric in shown]
    head += ["worst attack %"] if attacked else []
    rows = []
    for one in ranking.methods:
        column = (one.selection.method, one.selection.strength)
        place = f"{one.rank}" if one.rank else "–"
        row = [f"{place}  {name_of(*column)}"]
        row += [_percent(one.score)] if ranking.measure else []
        row += [_signed(one.loss, 3), _signed(one.fid_rise, 2)]
        row += [_distance(one.distances.get(metric)) for metric in shown]
        if attacked:
            worst = attacks.worst(*column)
            row.append(_percent(worst.cells[column] if worst else None))
        rows.append(tuple(row))
    bold = frozenset(i for i, one in enumerate(ranking.methods) if one.rank == 1)
    note = ranking.rule
    if shown:
        note += (
            " Forget FID, MM-Safe and Diversity respond to damage as they do to forgetting, so they do not enter the "
            "ranking. Shown is the closed share of their gap between original and D_r: 100 is D_r, above 100 is "
            "overshoot, below 0 is away from D_r. Where that gap is within the noise, Δ is the difference to D_r."
        )
    if any(one.rank is None for one in ranking.methods):
        note += " Methods without a rank exceed the limit or were not measured."
    return Grid(tuple(head), tuple(rows), note=note, bold=bold)


def _percent(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    return f"{100 * cell.mean + 0.0:.0f}" + (f" ±{100 * cell.half:.0f}" if cell.half else "")


def _signed(cell: Cell | None, digits: int) -> str:
    if cell is None:
        return "–"
    mean = round(cell.mean, digits) + 0.0
    return f"{mean:.{digits}f}" + (f" ±{cell.half:.{digits}f}" if cell.half else "")


def _distance(distance: Distance | None) -> str:
    if distance is None:
        return "–"
    # A share whose interval is wider than the gap itself is not informative.
    if distance.closed is not None and distance.closed.half <= 1.0:
        return _percent(distance.closed)
    return f"Δ {round(distance.gap.mean, 2) + 0.0:+.2f} ±{distance.gap.half:.2f}"
