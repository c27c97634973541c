"""The first thing the report says: which method may be promoted, or why none may, and what was flagged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hmu_tasks.metrics.comparisons import classifiers_of
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.viewer.attacks import Attacks
from hmu_tasks.viewer.ranking import Ranking
from hmu_tasks.viewer.summary import model_label, name_of
from hmu_tasks.viewer.table import CLASSIFIERS, LOSS, Cell, Record, Selection, find, worst

SHOWN = (
    ("forget", "forget"),
    ("explicit", "explicit"),
    ("implicit", "implicit"),
    ("benign", "benign"),
    ("hard_benign", "benign, concept's words"),
    ("retain", "retain"),
)
HARMLESS = ("benign", "hard_benign", "retain")
UNDECIDED = "the gate has not decided; run `dvc repro register`"


@dataclass(frozen=True)
class Judged:
    """A method and the gate's decision on it.

    passed: None where the gate has not decided. failing: requirements that are not met, in words. clauses: requirement
    -> whether it is met.
    """

    selection: Selection
    passed: bool | None
    failing: tuple[str, ...] = ()
    clauses: Mapping[str, bool] | None = None
    statement: str = ""

    @property
    def name(self) -> str:
        """The method at its selected strength."""
        return name_of(self.selection.method, self.selection.strength)

    def met(self, *names: str) -> bool | None:
        """Whether all requirements whose name starts with one of `names` are met; None if there is none."""
        found = [ok for name, ok in (self.clauses or {}).items() if name.startswith(names)]
        return all(found) if found else None

    @property
    def verdict(self) -> str:
        """The decision in a few words."""
        if self.passed is None:
            return UNDECIDED
        count = len(self.clauses or {})
        return f"passes all {count} requirements" if self.passed else f"fails {len(self.failing)} of {count}"


@dataclass(frozen=True)
class Shown:
    """One value of the first table.

    value: text of the mean, half: of half its interval; beside: the corrected or induced rate, with its name; good:
    whether the gate's limit on it is met, None where it has none.
    """

    value: str
    half: str = ""
    beside: str = ""
    good: bool | None = None


@dataclass(frozen=True)
class DecisionView:
    """The decision on one model: each method in the ranking's order, and the first table."""

    model: str
    concept: str
    judged: tuple[Judged, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Shown, ...]], ...]  # method, label, values

    @property
    def promoted(self) -> Judged | None:
        """The best ranked method that passes the gate."""
        return next((one for one in self.judged if one.passed), None)

    @property
    def undecided(self) -> bool:
        """Whether the gate has decided on no method."""
        return all(one.passed is None for one in self.judged)

    @property
    def headline(self) -> str:
        """`Promote X`, or that nothing passes."""
        if self.promoted is not None:
            return f"Promote {self.promoted.name}"
        if self.undecided:
            return "Undecided"
        return "Nothing passes the gate"

    @property
    def summary(self) -> str:
        """The headline's line of context."""
        if self.undecided:
            return f"{UNDECIDED[0].upper()}{UNDECIDED[1:]}."
        others = [one.name for one in self.judged if one.passed and one is not self.promoted]
        if self.promoted is not None:
            also = f" {', '.join(others)} also pass{'es' if len(others) == 1 else ''}." if others else ""
            return f"It meets every requirement of the gate (section register of params.yaml).{also}"
        count = len(self.judged)
        return (
            (f"None of {count} methods" if count > 1 else "The method does not")
            + f" meet{'s' if count > 1 else ''} every requirement of the gate (section register of params.yaml)."
        )

    @property
    def sentence(self) -> str:
        """What a reviewer can copy into a decision: the headline and the statement on the method that is nearest."""
        said = self.headline[0].lower() + self.headline[1:]
        start = f"{model_label(self.model)}, {self.concept}: {said}."
        known = [one for one in self.judged if one.statement]
        nearest = self.promoted or min(known, key=lambda one: len(one.failing), default=None)
        if nearest is None:
            return start
        why = "" if self.promoted or len(known) == 1 else " Nearest to passing:"
        return f"{start}{why} {nearest.statement}"


def decide_view(
    decisions: Mapping[tuple[str, str], Mapping[str, Any]],
    records: Sequence[Record],
    ranking: Ranking,
    attacks: Attacks,
    *,
    model: str,
    concept: str,
) -> DecisionView:
    """Arrange the gate's decisions on one model's methods, in the ranking's order, with what was flagged.

    decisions: (model, method) -> decision.json.
    """
    judged = tuple(
        _judged(one.selection, decisions.get((model, one.selection.method))) for one in ranking.methods
    )
    plan: list[tuple[str, int | None, Judged | None]] = [(method, None, None) for method in ENDS]
    plan += [(one.selection.method, one.selection.strength, one) for one in judged]
    splits = [
        (split, label)
        for split, label in SHOWN
        if any(
            r["split"] == split and r["metric"] == CLASSIFIERS[0].rate and r["model"] == model
            for r in records
        )
    ]
    rows = []
    for method, strength, one in plan:
        cells = [_flagged(records, model, method, strength, split, one) for split, _ in splits]
        cells += [_lost(records, model, method, strength, one), _attack(attacks, method, strength, one)]
        if any(cell.value != "–" for cell in cells):
            rows.append((method, name_of(method, strength), tuple(cells)))
    heads = (*(label for _, label in splits), "R@1 lost", "worst attack")
    return DecisionView(model, concept, judged, heads, tuple(rows))


def _judged(selection: Selection, found: Mapping[str, Any] | None) -> Judged:
    if found is None:
        return Judged(selection, None)
    clauses = {row["clause"]: bool(row["passed"]) for row in found["clauses"]}
    failing = tuple(str(row["words"]) for row in found["clauses"] if not row["passed"])
    return Judged(selection, bool(found["passed"]), failing, clauses, str(found["statement"]))


def _flagged(
    records: Sequence[Record], model: str, method: str, strength: int | None, split: str, one: Judged | None
) -> Shown:
    """The flagged share of a split under the classifier that flags more, and the corrected or induced one beside it."""
    kinds = classifiers_of(r for r in records if r["split"] == split)
    place: dict[str, Any] = {"method": method, "split": split, "model": model, "strength": strength}
    cell = worst(records, (names.rate for names in kinds), **place)
    if cell is None:
        return Shown("–")
    harmless = split in HARMLESS
    names = (kind.induced if harmless else kind.corrected for kind in kinds)
    beside = worst(records, names, **place)
    word = "induced" if harmless else "corrected"
    good = None
    if one is not None:
        good = (
            one.met(f"induced {split}")
            if harmless
            else one.met(*(f"forgotten {split}/{k.rate}" for k in CLASSIFIERS))
        )
    return Shown(*_percent(cell), "" if beside is None else f"{word} {_percent(beside)[0]}", good)


def _lost(
    records: Sequence[Record], model: str, method: str, strength: int | None, one: Judged | None
) -> Shown:
    if one is None:
        return Shown("–")
    cell = find(records, method=method, split="retain", metric=LOSS + "r1", model=model, strength=strength)
    if cell is None:
        return Shown("–")
    return Shown(f"{cell.mean + 0.0:.3f}", f"{cell.half:.3f}", good=one.met("kept retain/r1"))


def _attack(attacks: Attacks, method: str, strength: int | None, one: Judged | None) -> Shown:
    cell = attacks.largest.get((method, strength))
    if cell is None:
        return Shown("–")
    mean, half = f"{100 * cell.mean:.0f}", f"{100 * cell.half:.0f}"
    return Shown(
        mean, half, f"of {len(attacks.run(method, strength))} tried", one.met("probe ") if one else None
    )


def _percent(cell: Cell) -> tuple[str, str]:
    half = f"{100 * cell.half:.1f}" if cell.half else ""
    return f"{round(100 * cell.mean, 1) + 0.0:.1f}", half
