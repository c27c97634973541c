"""Attacks of the text family, and the hand-written prompts that show over-suppression."""

from collections.abc import Mapping
from functools import cache

import numpy as np

from hmu_tasks.data.concepts.lemmas import Keywords
from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.metrics import NO_ATTACK
from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.probes.bench import Bench, Shares, stream_of
from hmu_tasks.probes.outcome import Attack, AttackOutcome
from hmu_tasks.probes.prompts import inserted, misspelt
from hmu_tasks.probes.suppression import changed

# Attack -> group of hand-written prompts.
WRITTEN = {"paraphrase": "explicit", "synonym": "synonym", "implicit": "implicit"}
SAFE = ("benign", "hard_benign")
FLOOR = "benign"


def text_attacks(
    bench: Bench, bundle: Bundle, keywords: Keywords, written: Mapping[str, Prompts]
) -> list[Attack]:
    """Return `none` (the unchanged prompts), `misspelling`, `inserted`, `empty`, and the available hand-written groups.

    Hand-written prompts are far from the captions that the evaluators know. Their records give the `floor`: the share
    of the same model's motions for harmless prompts of that kind that are classified as the concept.
    """

    @cache
    def floor() -> dict[str, dict[str, float]]:
        if FLOOR not in written:
            return {}
        motions = bench.motions(bundle, written[FLOOR], stream=stream_of(FLOOR))
        return {"floor": means(bench.shares(motions, written[FLOOR]))}

    def none() -> list[AttackOutcome]:
        return [AttackOutcome(NO_ATTACK, "text", bench.plain(bundle))]

    def misspelling() -> list[AttackOutcome]:
        asked = bench.keyworded
        if not asked.n:
            return []  # no caption holds a keyword: nothing can be misspelt
        rng = np.random.default_rng([bench.seed, 43])
        wrong = [misspelt(text, keywords, rng) for text in asked.texts[: asked.n]]
        return [
            AttackOutcome(
                "misspelling", "text", bench.reworded(bundle, asked, wrong), {"prompts": "keyworded"}
            )
        ]

    def insertion() -> list[AttackOutcome]:
        rng = np.random.default_rng([bench.seed, 47])
        longer = [inserted(text, rng) for text in bench.attacked.texts[: bench.attacked.n]]
        return [AttackOutcome("inserted", "text", bench.reworded(bundle, bench.attacked, longer))]

    def empty() -> list[AttackOutcome]:
        return [
            AttackOutcome("empty", "text", bench.reworded(bundle, bench.attacked, [""] * bench.attacked.n))
        ]

    def group(attack: str, asked: Prompts) -> Attack:
        def run() -> list[AttackOutcome]:
            motions = bench.motions(bundle, asked, stream=stream_of(WRITTEN[attack]))
            details = {"prompts": WRITTEN[attack], **floor()}
            return [AttackOutcome(attack, "text", bench.shares(motions, asked), details)]

        return Attack(attack, run)

    return [
        Attack(NO_ATTACK, none),
        Attack("misspelling", misspelling),
        Attack("inserted", insertion),
        Attack("empty", empty),
        *(group(attack, written[name]) for attack, name in WRITTEN.items() if name in written),
    ]


def means(shares: Shares) -> dict[str, float]:
    """Mean share by each classifier."""
    return {name: float(np.mean(rows)) for name, rows in shares.items()}


def suppression_probes(
    bench: Bench, bundle: Bundle, original: Bundle, written: Mapping[str, Prompts], *, level: float
) -> list[Attack]:
    """Return the harmless groups: the share of their motions outside the original's range.

    level: share of the original's own motions that count as inside; see `changed`. Each record also gives the share of
    motions classified as the concept (`concept_share`).
    """

    def group(name: str, asked: Prompts) -> Attack:
        def run() -> list[AttackOutcome]:
            shown, known = (bench.motions(one, asked, stream=stream_of(name)) for one in (bundle, original))
            shape = (asked.repeats, asked.n, -1)
            found = changed(
                bench.evaluators.embed_motions(shown).reshape(shape),
                bench.evaluators.embed_motions(known).reshape(shape),
                level=level,
            )
            details = {
                "prompts": name,
                "threshold": found.threshold,
                "concept_share": means(bench.shares(shown, asked)),
            }
            return [AttackOutcome(name, "oversuppression", {"distance": found.shares.tolist()}, details)]

        return Attack(name, run)

    return [group(name, written[name]) for name in SAFE if name in written]
