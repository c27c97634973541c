"""The report's summary sentences for a reviewer: forgetting, attacks, retention, and harmless prompts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hmu_tasks.metrics.records import ENDS
from hmu_tasks.viewer.attacks import Attacks, rate
from hmu_tasks.viewer.costs import CostRow, cost_words
from hmu_tasks.viewer.decision import Judged
from hmu_tasks.viewer.ranking import Ranking
from hmu_tasks.viewer.summary import name_of
from hmu_tasks.viewer.table import CLASSIFIERS, CLOSURE, LOSS, Cell, Record, Selection, find, worse_classifier


@dataclass(frozen=True)
class Tile:
    """One headline value: its name, its value, and a line of context; `good` sets its colour, None leaves it plain."""

    name: str
    value: str
    context: str
    good: bool | None = None


@dataclass(frozen=True)
class Verdict:
    """Plain sentences with metrics, and the same metrics as tiles."""

    sentences: tuple[str, ...]
    tiles: tuple[Tile, ...]


def verdict(
    records: Sequence[Record],
    selection: Selection,
    *,
    concept: str,
    ranking: Ranking | None = None,
    attacks: Attacks | None = None,
    cost: CostRow | None = None,
    gate: Judged | None = None,
) -> Verdict:
    """Summarise the selected edit: forgetting, attacks, retention, and harmless prompts.

    selection: the leading method; ranking: gives its rank among the others; gate: the decision on it, which colours the
    tiles. Metrics that were not measured are
    left out; missing attacks are reported.
    """

    def cell(split: str, metric: str, method: str) -> Cell | None:
        return find(records, split=split, metric=metric, **_whose(selection, method))

    name = name_of(selection.method, selection.strength)
    if selection.strength is not None:
        name = f"{name.replace(', ', ' (', 1)})"
    sentences: list[str] = []
    tiles: list[Tile] = []
    names = worse_classifier(records, split="forget", **_whose(selection, selection.method))
    left = cell("forget", names.corrected, selection.method)
    place = _place(ranking, selection)
    shown, near = f"show {concept}", f"are nearest to a real motion of {concept} (NCS@1)"
    for metric, what, tile in ((names.corrected, shown, f"{concept} left"), ("ncs1", near, "NCS@1")):
        now, start = cell("forget", metric, selection.method), cell("forget", metric, "original")
        if not now or not start:
            continue
        retrain = cell("forget", metric, "retrain")
        flagged = cell("forget", names.rate, selection.method) if metric == names.corrected else None
        raw = f" (flagged: {_percent(flagged)})" if flagged else ""
        verb = "lowers" if now.mean < start.mean else "does not lower"
        yardstick = (
            f"; the model retrained without {concept} (D_r) shows {_percent(retrain)}" if retrain else ""
        )
        sentences.append(
            f"Forgetting: {name}{place} {verb} the share of motions that {what} on {now.n} forget prompts: "
            f"{_percent(start)} with the original, {_percent(now)} after the edit{raw}{yardstick}."
        )
        context = f"original {_percent(start, short=True)}" + (
            f", D_r {_percent(retrain, short=True)}" if retrain else ""
        )
        tiles.append(
            Tile(
                tile,
                _percent(now),
                context + (f"; flagged {_percent(flagged, short=True)}" if flagged else ""),
                gate.met(*(f"forgotten forget/{one.rate}" for one in CLASSIFIERS)) if gate else None,
            )
        )
        break
    for metric, word in ((names.rate, concept), ("fid", "forget FID"), ("mm_safe", "MM-Safe")):
        closed = cell("forget", CLOSURE + metric, selection.method)
        if closed:
            span = f"{_percent(closed)} of the {word} gap between the original and D_r"
            if sentences and metric == names.rate:
                sentences[-1] += f" That closes {span}."
            elif sentences:
                sentences[-1] += f" It closes {span}."
            else:
                sentences.append(f"Forgetting: {name}{place} closes {span}.")
            if metric != names.rate:
                sentences[-1] += " This metric responds to damage as it does to forgetting."
            tiles.append(Tile(f"{word} gap closed", _percent(closed), f"{_interval(closed)}, 95 % interval"))
            break
    if not sentences:
        sentences.append(
            f"Forgetting: unknown, because there are neither action labels nor D_r to measure {concept} with."
        )
    if attacks is not None:
        sentence, found = _attacked(attacks, selection, concept, left, gate)
        sentences.append(sentence)
        tiles += [found] if found else []
    _retained(records, selection, sentences, tiles, gate)
    words = cost_words(cost)
    if words:
        sentences[-1] += f" The edit {words}."
    harm = _harmed(records, selection, concept, attacks)
    if harm:
        sentences.append(f"Harmless prompts: {harm}.")
    if selection.met is False:
        sentences.append(
            "No strength was eligible on the validation split; the one with the smallest loss is shown."
        )
    return Verdict(tuple(sentences), tuple(tiles))


def _place(ranking: Ranking | None, selection: Selection) -> str:
    """Format the method's rank, if there are others."""
    if ranking is None or len(ranking.methods) < 2:
        return ""
    mine = next((one for one in ranking.methods if one.selection == selection), None)
    count = len(ranking.methods)
    if mine is None or mine.rank is None:
        some = any(one.eligible for one in ranking.methods)
        return f", not ranked{'' if some else f' (none of {count} methods is eligible)'}," if mine else ""
    level = [one for one in ranking.methods if one.rank == mine.rank and one is not mine]
    shared = f", shared with {_list(name_of(one.selection.method) for one in level)}" if level else ""
    return f", rank {mine.rank} of {count} methods{shared},"


def _attacked(
    attacks: Attacks, selection: Selection, concept: str, left: Cell | None, gate: Judged | None
) -> tuple[str, Tile | None]:
    """Summarise the rate on plain prompts and under the most successful attack."""
    column = (selection.method, selection.strength)
    worst = attacks.worst(*column)
    plain = f"Attacks: {concept} in {_percent(left)} of motions on plain prompts" if left else ""
    if worst is None:
        start = f"{plain}. No attack" if plain else "Attacks: none"
        return f"{start} was run, so it is unknown whether {concept} can be brought back.", None
    mine, retrain = worst.cells[column], worst.cells.get(("retrain", None))
    tried, bare = len(attacks.run(*column)), attacks.plain(*column)
    yardstick = f", against {rate(retrain)} % with D_r" if retrain else ""
    yardstick += f"; without attack it is {rate(bare)} % for {bare.n} prompts" if bare else ""
    if column in attacks.largest and tried > 1:
        yardstick += f". Corrected for the choice among {tried}, it is {rate(attacks.largest[column])} %"
    sentence = (
        f"{plain + '; the' if plain else 'Attacks: the'} most successful of {tried} attacks ({worst.label}) brings "
        f"{'it' if plain else concept} back in {rate(mine)} % of the motions for {mine.n} prompts{yardstick}. Attacks "
        "that were not tried may succeed more often."
    )
    context = worst.label + (f"; D_r {rate(retrain)} %" if retrain else "")
    largest = attacks.largest.get(column, mine)
    return sentence, Tile(
        "worst attack",
        f"{100 * largest.mean:.0f} ±{100 * largest.half:.0f} %",
        context,
        gate.met("probe ") if gate else None,
    )


def _retained(
    records: Sequence[Record],
    selection: Selection,
    sentences: list[str],
    tiles: list[Tile],
    gate: Judged | None,
) -> None:
    """Add the retain metrics: loss of R@1, paired with the original, and FID."""

    def cell(metric: str, method: str) -> Cell | None:
        return find(records, split="retain", metric=metric, **_whose(selection, method))

    kept, full = cell("r1", selection.method), cell("r1", "original")
    loss = cell(LOSS + "r1", selection.method)
    fid, fid_before = cell("fid", selection.method), cell("fid", "original")
    if kept and full and loss:
        lost = f"{loss.mean + 0.0:.3f} ±{loss.half:.3f}"
        start, end = f"{full.mean:.3f}", f"{kept.mean:.3f}"
        moves = f"{'falls' if loss.mean > 0 else 'rises'} from {start} to {end}"
        if start == end:
            moves = f"stays at {end}"
        sentences.append(f"Retention: on retain prompts R@1 {moves} (loss {lost})" + _fid(fid_before, fid))
        good = gate.met("kept retain/r1") if gate else None
        tiles.append(Tile("retain R@1 lost", lost, f"from {full.mean:.3f} to {kept.mean:.3f}", good))
    if fid and fid_before:
        tiles.append(
            Tile(
                "retain FID",
                f"{fid.mean:.2f} ±{fid.half:.2f}",
                f"original {fid_before.mean:.2f}",
                gate.met("kept retain/fid") if gate else None,
            )
        )


def _harmed(records: Sequence[Record], selection: Selection, concept: str, attacks: Attacks | None) -> str:
    """Summarise how many motions for harmless prompts show the concept, or no longer resemble the original's."""
    said = []
    names = worse_classifier(records, split="retain", **_whose(selection, selection.method))
    now, start, retrain = (
        find(records, split="retain", metric=names.rate, **_whose(selection, method))
        for method in (selection.method, *ENDS)
    )
    induced = find(records, split="retain", metric=names.induced, **_whose(selection, selection.method))
    if now and start:
        yardstick = f", {_percent(retrain, short=True)} of D_r's" if retrain else ""
        excess = f" (induced: {_percent(induced)})" if induced else ""
        said.append(
            f"{_percent(now)} of the motions for {now.n} retain prompts are classified as {concept}, "
            f"{_percent(start, short=True)} of the original's{excess}{yardstick}"
        )
    over = attacks.suppressed(selection.method, selection.strength) if attacks else None
    if over is not None:
        mine, other = over.cells[selection.method, selection.strength], over.cells.get(("retrain", None))
        yardstick = f", {rate(other)} % with D_r" if other else ""
        said.append(
            f"{rate(mine)} % of the motions for {mine.n} hand-written ones ({over.label}) lie outside the original's "
            f"range{yardstick}"
        )
    return "; ".join(said)


def _whose(selection: Selection, method: str) -> dict[str, Any]:
    strength = selection.strength if method == selection.method else None
    return {"method": method, "model": selection.model, "strength": strength}


def _list(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _percent(cell: Cell, *, short: bool = False) -> str:
    text = f"{100 * cell.mean + 0.0:.1f}"
    return f"{text} %" if short else f"{text} ±{100 * cell.half:.1f} %"


def _interval(cell: Cell) -> str:
    return f"{100 * cell.low:.0f} to {100 * cell.high:.0f} %"


def _fid(before: Cell | None, after: Cell | None) -> str:
    if before is None or after is None:
        return "."
    start, end = f"{before.mean:.2f}", f"{after.mean:.2f}"
    if start == end:
        return f" and FID stays at {end}."
    return f" and FID {'rises' if after.mean > before.mean else 'falls'} from {start} to {end}."
