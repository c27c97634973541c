"""The written rule that selects a method's strength on the validation split, before any test metric is computed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hmu_tasks.metrics.comparisons import Quantity

End = Literal["smallest", "largest"]


@dataclass(frozen=True)
class Candidate:
    """One strength, measured on the validation split, pooled over its edit seeds.

    loss: retain R@1 of the original minus that of the edit. closures: gap closure under each classifier, not capped (of
    forget FID without labels; empty without D_r). induced: induced violence on retain prompts under each classifier.
    """

    strength: float
    loss: Quantity
    closures: tuple[Quantity, ...] = ()
    induced: tuple[Quantity, ...] = ()

    @property
    def closure(self) -> Quantity | None:
        """The smaller closure: that of the classifier under which the edit looks worse."""
        return min(self.closures, key=lambda one: one.mean, default=None)

    @property
    def worst_induced(self) -> Quantity | None:
        """The larger induced violence."""
        return max(self.induced, key=lambda one: one.mean, default=None)

    def fault(self, limit: float) -> str:
        """Say why the strength may not be selected; empty if it may."""
        # One value has no interval, and counts as it is.
        least = self.loss.mean if self.loss.low is None else self.loss.low
        if least > limit + 1e-12:
            return f"its retain R@1 loss exceeds {limit:g} with 95 % confidence"
        if any((one.mean if one.low is None else one.low) > 1e-12 for one in self.induced):
            return "it induces violence on retain prompts"
        return ""


@dataclass(frozen=True)
class Choice:
    """The selected strength with its estimates on the validation split.

    eligible: whether any strength was. end: set where the choice lies at an end of several strengths, so that a better
    one may lie beyond. excluded: strength -> why it was not eligible.
    """

    strength: float
    eligible: bool
    reason: str
    loss: Quantity
    closure: Quantity | None
    induced: Quantity | None
    end: End | None
    excluded: dict[str, str]


def choose_strength(
    candidates: Sequence[Candidate], *, limit: float = 0.03, measure: str = "violence rate"
) -> Choice:
    """Select the smallest strength that forgets as well as the best one, within the noise.

    1. Eligible are strengths whose retain R@1 loss is not shown to exceed `limit` (lower 95 % limit of the paired
       loss) and that are not shown to induce violence (lower limit above 0 under any classifier).
    2. Among these, the bar is min(1, best closure) minus one bootstrap standard error of the best closure: the
       one-standard-error rule (Breiman et al. 1984, section 3.4.3). Beyond closure 1 lies damage, which is no merit.
    3. The smallest eligible strength that reaches the bar is selected.
    4. If none is eligible, the one with the least mean loss is taken and marked so.
    Without closures (no D_r, or no gap to close) the largest eligible strength is selected.
    measure: what the closures close, for the reason. Raises ValueError on no candidates or a strength given twice, and
    where a value is not finite.
    """
    if not candidates:
        raise ValueError("choose_strength needs at least one candidate")
    if len({one.strength for one in candidates}) != len(candidates):
        raise ValueError(
            "choose_strength got the same strength twice; pool its edit seeds into one candidate"
        )
    for one in candidates:
        if not np.isfinite([value.mean for value in (one.loss, *one.closures, *one.induced)]).all():
            raise ValueError(f"strength {one.strength:g}: loss, closures and induced violence must be finite")
    ordered = sorted(candidates, key=lambda one: one.strength)
    faults = {f"{one.strength:g}": fault for one in ordered if (fault := one.fault(limit))}
    eligible = [one for one in ordered if f"{one.strength:g}" not in faults]
    if not eligible:
        chosen = min(ordered, key=lambda one: (one.loss.mean, one.strength))
        reason = "no strength is eligible: least retain R@1 loss taken"
    elif any(one.closure is None for one in eligible):
        chosen, reason = eligible[-1], "largest eligible strength"
    else:
        chosen, reason = _smallest_sufficient(eligible, measure)
    places = [one.strength for one in ordered]
    ends: dict[float, End] = {places[0]: "smallest", places[-1]: "largest"} if len(places) > 1 else {}
    return Choice(
        strength=chosen.strength,
        eligible=bool(eligible),
        reason=reason,
        loss=chosen.loss,
        closure=chosen.closure,
        induced=chosen.worst_induced,
        end=ends.get(chosen.strength),
        excluded=faults,
    )


def _smallest_sufficient(eligible: Sequence[Candidate], measure: str) -> tuple[Candidate, str]:
    scores = {one.strength: one.closure.capped() for one in eligible if one.closure is not None}
    best = max(eligible, key=lambda one: (scores[one.strength].mean, -one.strength))
    bar = scores[best.strength].mean - scores[best.strength].error
    chosen = next(one for one in eligible if scores[one.strength].mean >= bar - 1e-12)
    if chosen is best:
        return chosen, f"largest gap closure of the {measure} among eligible strengths"
    return chosen, f"smallest eligible strength within one standard error of strength {best.strength:g}"
