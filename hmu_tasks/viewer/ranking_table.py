"""The ranking as a table: rank, gap closed, retain loss, induced violence, damage-sensitive metrics, worst attack."""

from hmu_tasks.viewer.attacks import Attacks
from hmu_tasks.viewer.grid import Grid
from hmu_tasks.viewer.ranking import MEASURES, OVERSHOT, Ranking
from hmu_tasks.viewer.summary import name_of
from hmu_tasks.viewer.table import Cell

OVERSHOT_NAMES = {"fid": "Δ FID", "mm_safe": "Δ MM-Safe", "diversity": "Δ Div"}
MEASURE_NAMES = dict(
    zip(MEASURES, ("gap closed %", "violence %", "FID gap closed %", "NCS@1 %"), strict=True)
)


def ranking_grid(ranking: Ranking, attacks: Attacks) -> Grid | None:
    """Format the ranking; None if there is no method. Δ: difference of a forget metric to D_r's."""
    if not ranking.methods:
        return None
    shown = [metric for metric in OVERSHOT if any(metric in one.distances for one in ranking.methods)]
    attacked = any(attacks.worst(one.selection.method, one.selection.strength) for one in ranking.methods)
    flagged = any(one.induced for one in ranking.methods)
    head = ["rank and method", *([MEASURE_NAMES[ranking.measure]] if ranking.measure else []), "R@1 lost"]
    head += [*(["induced %"] if flagged else []), "FID +"]
    head += [OVERSHOT_NAMES[metric] for metric in shown]
    head += ["attack %", "over D_r %"] if attacked else []
    rows = []
    for one in ranking.methods:
        column = (one.selection.method, one.selection.strength)
        place = f"{one.rank}" if one.rank else "–"
        row = [f"{place}  {name_of(*column)}"]
        row += [_percent(one.score)] if ranking.measure else []
        row += [_signed(one.loss, 3), *([_percent(one.induced, 1)] if flagged else [])]
        row += [_signed(one.fid_rise, 2)]
        row += [_signed(one.distances.get(metric), 2, "+") for metric in shown]
        if attacked:
            row.append(_percent(attacks.largest.get(column)))
            row.append(_percent(attacks.excess.get(column)))
        rows.append(tuple(row))
    bold = frozenset(i for i, one in enumerate(ranking.methods) if one.rank == 1)
    note = ranking.rule
    if flagged:
        note += " Induced: share of retain motions flagged in excess of the original's."
    if attacked:
        note += (
            " Attack: success of the most successful attack, and the largest excess over the same attack on D_r, "
            "both corrected for being the largest of many."
        )
    if shown:
        note += (
            " Δ: difference to D_r on forget prompts. Forget FID, MM-Safe and Diversity respond to damage as they do "
            "to forgetting, so they do not enter the ranking."
        )
    if any(one.rank is None for one in ranking.methods):
        note += " Methods without a rank were not eligible or not measured."
    ends = [one.selection for one in ranking.methods if one.selection.end]
    if ends:
        named = ", ".join(f"{name_of(one.method, one.strength)} ({one.end})" for one in ends)
        note += f" Selected at an end of the strengths tried, beyond which a better one may lie: {named}."
    return Grid(tuple(head), tuple(rows), note=note, bold=bold)


def _percent(cell: Cell | None, digits: int = 0) -> str:
    if cell is None:
        return "–"
    text = f"{round(100 * cell.mean, digits) + 0.0:.{digits}f}"
    return text + (f" ±{100 * cell.half:.{digits}f}" if cell.half else "")


def _signed(cell: Cell | None, digits: int, sign: str = "") -> str:
    if cell is None:
        return "–"
    mean = round(cell.mean, digits) + 0.0
    return f"{mean:{sign}.{digits}f}" + (f" ±{cell.half:.{digits}f}" if cell.half else "")
