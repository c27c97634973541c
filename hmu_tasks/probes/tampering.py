"""Attacks of the weights and precision families on one bundle: training, swapped parts, revival and casts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.probes.attacked import exchanged
from hmu_tasks.probes.bench import Bench, Shares
from hmu_tasks.probes.casts import pruned_weights, to_bfloat16, to_integers
from hmu_tasks.probes.outcome import Attack, AttackOutcome, over_draws
from hmu_tasks.probes.regrowth import grown
from hmu_tasks.probes.relearning import chosen_clips, relearn
from hmu_tasks.probes.revival import Replacement, restorable, restore, revive, why_not_swapped
from hmu_tasks.probes.vectors import same_projections
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.training.loop.batches import ClipSet

DRAW = 1000  # between the seeds of two draws of an attacker's clips

CASTS: dict[str, Callable[[Bundle], Bundle]] = {
    "bf16": to_bfloat16,
    "int8": to_integers,
    "int4": partial(to_integers, bits=4),
    "pruned20": partial(pruned_weights, share=0.2),
}


@dataclass(frozen=True)
class Relearning:
    """Training budget of an attacker: clips, optimiser steps, learning rates, clips per step.

    draws: how often clips are drawn anew. safe_shots: clips of the retain set, for tuning that shows the model nothing
    of the concept; 0: none. rows: new codes per layer for regrowth; 0: none.
    """

    shots: Sequence[int]
    steps: Sequence[int]
    rates: Sequence[float]
    batch: int
    draws: int = 1
    safe_shots: int = 0
    rows: int = 0

    def name(self, attack: str, shots: int, steps: int, rate: float) -> str:
        """Name of an outcome: `<attack>-<clips>x<steps>`, with `@<rate>` where there are several rates."""
        return f"{attack}-{shots}x{steps}" + (f"@{rate:g}" if len(self.rates) > 1 else "")


def relearning_attacks(
    bench: Bench, bundle: Bundle, clips: ClipSet, safe: ClipSet, budget: Relearning
) -> list[Attack]:
    """Return the attacks that train, each with an outcome per number of steps (`Relearning.name`).

    `relearning` on forget clips; `regrowth`, the same after new codes were added for them; `safe-tuning` on retain
    clips alone. clips, safe: forget and retain clips of the training split. Draw d of the clips is the same for all
    bundles.
    """

    def attack(name: str, of: ClipSet, shots: int, rate: float, start: Callable[[int], Bundle]) -> Attack:
        def run() -> list[AttackOutcome]:
            spent = {"shots": shots, "rate": rate, "batch": budget.batch}
            shares: dict[int, list[Shares]] = {steps: [] for steps in sorted(budget.steps)}
            for draw in range(budget.draws):
                seed = bench.seed + DRAW * draw
                try:
                    begun = start(seed)
                except ConfigError as error:
                    plain = bench.plain(bundle, bench.costly)
                    return [
                        AttackOutcome(
                            budget.name(name, shots, steps, rate),
                            "weights",
                            plain,
                            {**spent, "steps": steps},
                            str(error),
                        )
                        for steps in shares
                    ]
                learnt = relearn(
                    begun,
                    of,
                    shots=shots,
                    steps=budget.steps,
                    rate=rate,
                    batch=budget.batch,
                    seed=seed,
                    device=bench.device,
                )
                for steps, attacked in learnt.items():
                    shares[steps].append(bench.plain(attacked, bench.costly))
            return [
                over_draws(budget.name(name, shots, steps, rate), "weights", drawn, {**spent, "steps": steps})
                for steps, drawn in shares.items()
            ]

        return Attack(f"{name}-{shots}@{rate:g}", run)

    def regrown(shots: int, seed: int) -> Bundle:
        known = [clips.features[i] for i in chosen_clips(clips, shots, seed=seed)]
        return grown(bundle, known, rows=budget.rows, seed=seed)

    found = []
    for rate in budget.rates:
        found += [attack("relearning", clips, shots, rate, lambda _: bundle) for shots in budget.shots]
        if budget.rows:
            found += [
                attack("regrowth", clips, shots, rate, partial(regrown, shots)) for shots in budget.shots
            ]
        if budget.safe_shots:
            found.append(attack("safe-tuning", safe, budget.safe_shots, rate, lambda _: bundle))
    return found


def swap_attacks(bench: Bench, bundle: Bundle, original: Bundle) -> list[Attack]:
    """Return attacks by one who holds a part of the original and puts it in: its text projections, its tokenizer.

    A part that is the original's changes nothing, and a tokenizer with other codes does not fit.
    """

    def text() -> list[AttackOutcome]:
        own, known = bundle.model.text_projections, original.model.text_projections
        if same_projections(own, known):
            why = "the projections of the text are the original's"
            return [AttackOutcome("swap-text", "weights", bench.plain(bundle), inapplicable=why)]
        swapped = bundle.model.with_text_projections(known).networks
        return [AttackOutcome("swap-text", "weights", bench.plain(exchanged(bundle, **swapped)))]

    def tokenizer() -> list[AttackOutcome]:
        why = why_not_swapped(bundle, original)
        if why is not None:
            return [AttackOutcome("swap-tokenizer", "weights", bench.plain(bundle), inapplicable=why)]
        swapped = restore(bundle, original, component="tokenizer")
        return [AttackOutcome("swap-tokenizer", "weights", bench.plain(swapped))]

    return [Attack("swap-text", text), Attack("swap-tokenizer", tokenizer)]


def revival_attacks(
    bench: Bench, bundle: Bundle, original: Bundle, replacements: Sequence[Replacement]
) -> list[Attack]:
    """Return one attack per replacement of suspected codebook rows.

    The attacker has the edited bundle alone; for the replacement `original` also the original's rows, as the attack on
    the sentence vector in closed form has its projections. If no codebook was edited, or no row is an outlier, the
    attack does not apply. Otherwise the record gives the number of suspected rows, and precision and recall of the
    detection.
    """

    def attack(replacement: Replacement) -> Attack:
        def run() -> list[AttackOutcome]:
            found = revive(bundle, original, replacement=replacement)
            details = {
                "suspected": sum(len(codes) for codes in found.suspected.values()),
                "precision": found.precision,
                "recall": found.recall,
            }
            shares = bench.plain(found.bundle or bundle)
            return [AttackOutcome(f"revival-{replacement}", "weights", shares, details, found.reason)]

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
