"""The rule that selects a method's strength on the validation split, before any test metric is seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Candidate:
    """One strength value, measured on the validation split.

    closures: gap closure per edit seed (of the violence rate; of forget FID where no labels exist).
    losses: retain R@1 of the original minus that of the edit, per edit seed; positive is worse.
    """

    strength: float
    closures: tuple[float, ...]
    losses: tuple[float, ...]


@dataclass(frozen=True)
class Choice:
    """The selected strength, its mean closure (None without D_r) and loss, and whether it keeps the retain limit."""

    strength: float
    closure: float | None
    loss: float
    feasible: bool
    reason: str


def choose_strength(
    candidates: Sequence[Candidate], *, limit: float = 0.03, measure: str = "violence rate"
) -> Choice:
    """Return the strength that forgets most within the allowed retain loss.

    1. Feasible are the strengths whose mean retain R@1 loss is at most `limit`.
    2. Among them the largest mean gap closure wins, capped at 1: overshooting D_r is damage.
    3. Strengths within one standard error (over edit seeds) of the winner tie; the smallest of them is taken.
    4. With no feasible strength, the one with the smallest mean retain loss is taken and marked so.
    measure: name of the metric behind the closures, for the reason.
    Raises ValueError on no candidates, a strength given twice, or missing or non-finite values.
    """
    if not candidates:
        raise ValueError("choose_strength needs at least one candidate")
    if len({candidate.strength for candidate in candidates}) != len(candidates):
        raise ValueError("choose_strength got the same strength twice; put its edit seeds into one candidate")
    for candidate in candidates:
        values = (*candidate.closures, *candidate.losses)
        if not candidate.closures or not candidate.losses or not np.isfinite(values).all():
            raise ValueError(f"strength {candidate.strength:g}: closures and losses must be given and finite")
    ordered = sorted(candidates, key=lambda candidate: candidate.strength)
    # A mean of 0.03 that came out as 0.030000000000000002 is still 0.03.
    feasible = [candidate for candidate in ordered if _mean(candidate.losses) <= limit + 1e-12]
    if not feasible:
        least = min(ordered, key=lambda candidate: _mean(candidate.losses))
        return _choice(
            least, False, f"no strength keeps the retain R@1 loss within {limit:g}: least loss taken"
        )
    best = max(feasible, key=_capped)
    bar = _capped(best) - _standard_error(best.closures)
    chosen = next(candidate for candidate in feasible if _capped(candidate) >= bar)
    if chosen is best:
        return _choice(
            chosen, True, f"largest gap closure of the {measure} within a retain R@1 loss of {limit:g}"
        )
    return _choice(chosen, True, f"within one standard error of strength {best.strength:g}, and smaller")


def largest_strength(losses: Mapping[float, Sequence[float]], *, limit: float = 0.03) -> Choice:
    """Return the largest strength whose mean retain R@1 loss is at most `limit`: the rule without D_r.

    losses: per strength, retain R@1 of the original minus that of the edit, per edit seed. Without D_r there is no
    target for the forget metrics, and so no gap to close. With no feasible strength the one with the smallest loss is
    selected and marked so. Raises ValueError on no strengths or missing or non-finite losses.
    """
    if not losses or not all(len(found) and np.isfinite(found).all() for found in losses.values()):
        raise ValueError("largest_strength needs strengths with finite losses")
    feasible = [strength for strength, found in losses.items() if _mean(found) <= limit + 1e-12]
    strength = max(feasible) if feasible else min(losses, key=lambda one: (_mean(losses[one]), one))
    rule = (
        f"largest strength within a retain R@1 loss of {limit:g}"
        if feasible
        else f"no strength keeps the retain R@1 loss within {limit:g}: least loss taken"
    )
    return Choice(strength, None, _mean(losses[strength]), bool(feasible), rule)


def _choice(candidate: Candidate, feasible: bool, reason: str) -> Choice:
    return Choice(candidate.strength, _mean(candidate.closures), _mean(candidate.losses), feasible, reason)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _capped(candidate: Candidate) -> float:
    return min(1.0, _mean(candidate.closures))


def _standard_error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
