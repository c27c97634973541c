"""Attacks of the weights and precision families on one bundle: relearning, revival and casts, with plain prompts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.probes.bench import Bench
from hmu_tasks.probes.casts import to_bfloat16, to_integers
from hmu_tasks.probes.outcome import Attack, AttackOutcome
from hmu_tasks.probes.relearning import relearn
from hmu_tasks.probes.revival import Replacement, restorable, restore, revive
from hmu_tasks.training.loop.batches import ClipSet

CASTS: dict[str, Callable[[Bundle], Bundle]] = {"bf16": to_bfloat16, "int8": to_integers}


@dataclass(frozen=True)
class Relearning:
    """Training budget of an attacker: clips, optimiser steps, learning rate, clips per step."""

    shots: Sequence[int]
    steps: Sequence[int]
    rate: float
    batch: int


def relearning_attacks(bench: Bench, bundle: Bundle, clips: ClipSet, budget: Relearning) -> list[Attack]:
    """Return one attack per number of clips, with an outcome `relearning-<clips>x<steps>` per number of steps.

    clips: forget clips of the training split.
    """

    def attack(shots: int) -> Attack:
        def run() -> list[AttackOutcome]:
            learnt = relearn(
                bundle,
                clips,
                shots=shots,
                steps=budget.steps,
                rate=budget.rate,
                batch=budget.batch,
                seed=bench.seed,
                device=bench.device,
            )
            spent = {"shots": shots, "rate": budget.rate, "batch": budget.batch}
            return [
                AttackOutcome(
                    f"relearning-{shots}x{steps}",
                    "weights",
                    bench.plain(attacked),
                    {**spent, "steps": steps},
                )
                for steps, attacked in sorted(learnt.items())
            ]

        return Attack(f"relearning-{shots}", run)

    return [attack(shots) for shots in budget.shots]


def revival_attacks(
    bench: Bench, bundle: Bundle, original: Bundle, replacements: Sequence[Replacement]
) -> list[Attack]:
    """Return one attack per replacement of suspected codebook rows, for an attacker with the edited bundle alone.

    If no codebook was edited, or no row is an outlier, the plain bundle is measured and the record says why. Otherwise
    the record gives the number of suspected rows, and precision and recall of the detection.
    """

    def attack(replacement: Replacement) -> Attack:
        def run() -> list[AttackOutcome]:
            found = revive(bundle, original, replacement=replacement)
            details = {
                "suspected": sum(len(codes) for codes in found.suspected.values()),
                "precision": found.precision,
                "recall": found.recall,
                "reason": found.reason,
            }
            return [
                AttackOutcome(
                    f"revival-{replacement}", "weights", bench.plain(found.bundle or bundle), details
                )
            ]

        return Attack(f"revival-{replacement}", run)

    return [attack(replacement) for replacement in replacements]


def restorations(bench: Bench, bundle: Bundle, original: Bundle, components: Sequence[str]) -> list[Attack]:
    """Return one probe per named component that can be restored to the original's, which locates the edit.

    It requires the original weights, so it is a separate family and not an attack that the gate limits.
    """
    possible = restorable(bundle, original)

    def attack(component: str) -> Attack:
        def run() -> list[AttackOutcome]:
            restored = restore(bundle, original, component=component)
            return [AttackOutcome(f"restored-{component}", "restoration", bench.plain(restored))]

        return Attack(f"restored-{component}", run)

    return [attack(component) for component in components if component in possible]


def cast_attacks(bench: Bench, bundle: Bundle, names: Sequence[str]) -> list[Attack]:
    """Return one attack per named cast of CASTS."""

    def attack(name: str) -> Attack:
        return Attack(name, lambda: [AttackOutcome(name, "precision", bench.plain(CASTS[name](bundle)))])

    return [attack(name) for name in names]
