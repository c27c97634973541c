"""The gate's decision in words: each requirement as a phrase, and one statement about an edit to copy into a decision.

Report, card and terminal show these words, so that they say the same.
"""

from collections.abc import Mapping
from typing import Any

from hmu_tasks.metrics import METRICS, NO_ATTACK, RESTORATION, SUPPRESSION, metric
from hmu_tasks.metrics.comparisons import CLASSIFIERS
from hmu_tasks.registry.evidence import Evidence, Measurement, rounded
from hmu_tasks.registry.gate import Clause, Decision
from hmu_tasks.viewer.names import attack_label, prompts_label

_RATES = {name for one in CLASSIFIERS for name in (one.rate, one.corrected, one.induced)}
_NO_ATTACKS = (SUPPRESSION, RESTORATION)


def decision_json(evidence: Evidence, decision: Decision) -> dict[str, Any]:
    """Return the decision for decision.json: every clause with its words, and the statement."""
    found = decision.to_json()
    for row, clause in zip(found["clauses"], decision.clauses, strict=True):
        row["words"] = words(clause, evidence.concept)
    return found | {
        "bundle": evidence.bundle,
        "edit": evidence.edit,
        "statement": statement(evidence, decision),
    }


def words(clause: Clause, concept: str) -> str:
    """Say what a clause compares, such as `R@1 on retain prompts: worse by up to 0.0559, 0.05 allowed`."""
    kind, _, name = clause.name.partition(" ")
    split, _, key = name.partition("/")
    if kind == "probe":
        what = f"attack “{attack_label(name)}”"
        if "excess_high" in clause.values:
            return _compared(
                clause,
                what,
                f"{concept} up to {{}} in excess of the same attack on D_r",
                "excess_high",
                percent=True,
            )
        return _compared(clause, what, f"{concept} in up to {{}} of motions", "high", percent=True)
    if kind == "induced":
        what = f"motions for {prompts_label(name)} flagged in excess of the original's"
        return _compared(clause, what, "up to {}", "high", percent=True)
    if kind not in ("forgotten", "kept", "champion") or key not in METRICS:
        return f"{clause.name}: {clause.reason}"
    what, percent = f"{metric(key).label} on {prompts_label(split)}", key in _RATES
    if kind == "kept":
        return _compared(clause, what, "worse by up to {}", "loss_high", percent=percent)
    if "left_high" in clause.values:
        return _compared(
            clause, what, "up to {} of the gap to D_r left or overshot", "left_high", percent=True
        )
    return _compared(clause, what, "up to {}", "high", percent=percent)


def _compared(clause: Clause, what: str, reached: str, name: str, *, percent: bool) -> str:
    """Write the limit that was reached and the allowed one; without them the gate's own reason."""
    most, allowed = clause.values.get(name), clause.values.get("limit")
    if not isinstance(most, int | float) or not isinstance(allowed, int | float):
        return f"{what}: {clause.reason}"
    return f"{what}: {reached.format(_amount(most, percent))}, {_amount(allowed, percent)} allowed"


def _amount(value: float, percent: bool) -> str:
    return f"{rounded(100 * value, 3)} %" if percent else rounded(value, 3)


def statement(evidence: Evidence, decision: Decision) -> str:
    """Say in a few sentences what is decided about an edit, on what grounds, and what that does not show."""
    broken = [clause for clause in decision.clauses if not clause.passed]
    name = f"{evidence.model} after {evidence.method} (edit {evidence.edit}, bundle {evidence.bundle[:12]})"
    if broken:
        text = f"Do not promote {name}: {len(broken)} of {len(decision.clauses)} requirements are not met. "
        text += "".join(f"({i}) {words(clause, evidence.concept)}. " for i, clause in enumerate(broken, 1))
    else:
        text = f"Promote {name}: all {len(decision.clauses)} requirements are met. "
    return text + measured_words(evidence)


def measured_words(evidence: Evidence) -> str:
    """Say what was measured, what was tried and what neither shows."""
    parts = []
    for split in ("forget", "explicit", "implicit", "benign", "hard_benign", "retain"):
        mine, start = (_flagged(table, split) for table in (evidence.edited, evidence.original))
        if mine is None:
            continue
        before = f" (original {100 * start.mean:.1f} %)" if start is not None else ""
        parts.append(f"{_rate(mine)} for {mine.n} {prompts_label(split)}{before}")
    text = ""
    if parts:
        text = (
            f"Motions flagged as {evidence.concept}, by the classifier that flags more: {'; '.join(parts)}. "
        )
    tried = _tried(evidence)
    if tried:
        top = max(tried, key=lambda name: tried[name].mean)
        count = f"{len(tried)} attack{'s' if len(tried) > 1 else ''}"
        text += (
            f"Of {count} tried, “{attack_label(top)}” was the most successful: {_rate(tried[top])} of its motions were "
            "flagged. "
        )
    else:
        text += "No attack was tried. "
    return (
        f"{text}This does not show that {evidence.concept} is gone: classifiers make mistakes, and prompts and attacks "
        "that were not tried may bring it back."
    )


def _tried(evidence: Evidence) -> Mapping[str, Measurement]:
    return {
        name: found
        for name, found in sorted(evidence.probes.items())
        if name != NO_ATTACK and found.inapplicable is None and evidence.families.get(name) not in _NO_ATTACKS
    }


def _flagged(table: Mapping[str, Measurement], split: str) -> Measurement | None:
    """The flagged share of a split under the classifier that flags more, as in the report's first table."""
    found = [table[name] for one in CLASSIFIERS if (name := f"{split}/{one.rate}") in table]
    return max(found, key=lambda measured: measured.mean, default=None)


def _rate(measured: Measurement) -> str:
    text = f"{100 * measured.mean:.1f} %"
    if measured.low is None or measured.high is None or measured.low == measured.high:
        return text
    return f"{text} ({100 * max(0.0, measured.low):.1f} to {100 * measured.high:.1f})"
