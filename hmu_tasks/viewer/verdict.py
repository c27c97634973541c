"""The report's first sentences: how much of the concept is left, and what removing it cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from hmu_tasks.viewer.summary import name_of
from hmu_tasks.viewer.table import CLOSURE, VIOLENCE, Cell, Record, Selection, find


@dataclass(frozen=True)
class Tile:
    """One large figure: its name, its value, and a line of context; `good` colours it, None does not."""

    name: str
    value: str
    context: str
    good: bool | None = None


@dataclass(frozen=True)
class Verdict:
    """Plain sentences with figures, and the same figures as tiles."""

    sentences: tuple[str, ...]
    tiles: tuple[Tile, ...]


def verdict(records: Sequence[Record], selection: Selection, *, concept: str) -> Verdict:
    """Say what the selected edit left of the concept and what it cost on retain prompts, from test figures."""

    def cell(split: str, metric: str, method: str) -> Cell | None:
        knob = selection.knob if method == selection.method else None
        return find(records, method=method, split=split, metric=metric, model=selection.model, knob=knob)

    name = name_of(selection.method, selection.knob).replace(", K", " with K")
    sentences: list[str] = []
    tiles: list[Tile] = []
    left, before = cell("forget", VIOLENCE, selection.method), cell("forget", VIOLENCE, "original")
    gold = cell("forget", VIOLENCE, "retrain")
    if left and before:
        than = f" and {_percent(gold)} for the model retrained without {concept} (D_r)" if gold else ""
        sentences.append(
            f"{name} leaves {concept} in {_percent(left)} of the motions generated for forget prompts, "
            f"against {_percent(before)} for the original model{than}."
        )
        context = f"original {_percent(before, short=True)}" + (
            f", D_r {_percent(gold, short=True)}" if gold else ""
        )
        tiles.append(Tile(f"{concept} left", _percent(left), context))
    for metric, word in ((VIOLENCE, concept), ("fid", "forget FID"), ("mm_safe", "MM-Safe")):
        closed = cell("forget", CLOSURE + metric, selection.method)
        if closed:
            sentences.append(
                f"It closes {_percent(closed)} of the {word} gap between the original and D_r "
                "(100 % behaves like D_r, more is damage)."
                if sentences
                else f"{name} closes {_percent(closed)} of the {word} gap between the original and D_r."
            )
            tiles.append(Tile(f"{word} gap closed", _percent(closed), f"{_interval(closed)}, 95 % interval"))
            break
    kept, full = cell("retain", "r1", selection.method), cell("retain", "r1", "original")
    if kept and full:
        loss = full.mean - kept.mean
        half = (full.half**2 + kept.half**2) ** 0.5
        good = None if selection.limit is None else loss <= selection.limit
        start, end = f"{full.mean:.3f}", f"{kept.mean:.3f}"
        moves = f"{'falls' if loss > 0 else 'rises'} from {start} to {end}"
        if start == end:
            moves = f"stays at {end}"
        limit = ""
        if selection.limit is not None:
            limit = f", {'within' if good else 'beyond'} the limit of {selection.limit:g}"
        sentences.append(
            f"On retain prompts R@1 {moves} (loss {loss:.3f} ±{half:.3f}{limit})"
            + _fid(cell("retain", "fid", "original"), cell("retain", "fid", selection.method))
        )
        context = f"from {full.mean:.3f} to {kept.mean:.3f}" + (
            f"; limit {selection.limit:g}" if selection.limit is not None else ""
        )
        tiles.append(Tile("retain R@1 lost", f"{loss:.3f} ±{half:.3f}", context, good))
    fid, fid_before = cell("retain", "fid", selection.method), cell("retain", "fid", "original")
    if fid and fid_before:
        tiles.append(Tile("retain FID", f"{fid.mean:.2f} ±{fid.half:.2f}", f"original {fid_before.mean:.2f}"))
    if selection.met is False:
        sentences.append(
            "No strength kept the limit on the validation split; the one that loses least is shown."
        )
    if not sentences:
        sentences.append(f"{name} was not measured on the test split.")
    return Verdict(tuple(sentences), tuple(tiles))


def _percent(cell: Cell, *, short: bool = False) -> str:
    text = f"{100 * cell.mean + 0.0:.1f}"
    return f"{text} %" if short else f"{text} ±{100 * cell.half:.1f} %"


def _interval(cell: Cell) -> str:
    return f"{100 * cell.low:.0f} to {100 * cell.high:.0f} %"


def _fid(before: Cell | None, after: Cell | None) -> str:
    if before is None or after is None:
        return "."
    verb = "rises" if after.mean > before.mean else "falls"
    return f" and FID {verb} from {before.mean:.2f} to {after.mean:.2f}."
