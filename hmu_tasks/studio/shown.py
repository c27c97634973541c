"""The prompts that the report shows: chosen by rule, the worst attacks and failures of the leading method first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.config.params import Params
from hmu_tasks.data.clips import packed
from hmu_tasks.data.clips.id_lists import Role
from hmu_tasks.data.clips.packed import Clips
from hmu_tasks.data.concepts.concepts import load_concept, load_prompts
from hmu_tasks.data.concepts.lemmas import prepare
from hmu_tasks.evaluation.prompts import concept_clips
from hmu_tasks.models.networks.lengths import UNIT
from hmu_tasks.probes.prompts import inserted, misspelt
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.progress import Progress
from hmu_tasks.studio.motions import LONGEST, ScoredMotion, Studio, open_studio
from hmu_tasks.studio.sources import ModelSource, bundle_folder
from hmu_tasks.viewer.inputs import MotionSample
from hmu_tasks.viewer.page import DRAWN, FALL
from hmu_tasks.viewer.table import Selection

FORGET = 48  # candidates of each pool
ATTACKED = 16
WRITTEN = 16
RETAIN = 24
ATTACKS = ("explicit", "implicit", "synonym")
HARMLESS = ("benign", "hard_benign")


@dataclass(frozen=True)
class PromptCandidate:
    """A prompt that may be shown, asked at a length in frames; name: of its clip, or of its place in a list."""

    split: str
    name: str
    prompt: str
    frames: int
    recorded: bool = False  # whether `name` is a clip whose own motion can stand beside the generated ones


@dataclass(frozen=True)
class ShownRule:
    """How some prompts are chosen: the `count` candidates of a pool that score highest.

    score: of the leading method's margin and the original's, by which candidates are ordered.
    """

    kind: str
    pool: str
    count: int
    score: Callable[[float, float], float]
    why: str


RULES = (
    ShownRule(
        "attack",
        "attacks",
        6,
        lambda mine, _: mine,
        "Of {n} reworded prompts, those that score highest with {lead}.",
    ),
    ShownRule(
        "failure",
        "forget",
        6,
        lambda mine, _: mine,
        "Of {n} forget prompts, those that score highest with {lead}.",
    ),
    ShownRule(
        "false alarm",
        "harmless",
        3,
        lambda mine, original: mine - original,
        "Of {n} harmless prompts, those whose score rises most from the original to {lead}.",
    ),
    ShownRule(
        FALL,
        "forget",
        3,
        lambda mine, original: original - mine,
        "Of {n} forget prompts, those whose score falls most from the original to {lead}.",
    ),
)
CHANCE = "The first forget and retain prompts in the order of the seed, whatever came out."


def shown_samples(
    params: Params, selections: Sequence[Selection], lead_name: str, progress: Progress | None = None
) -> list[MotionSample]:
    """Generate and choose what is shown of one model: some 24 prompts by every model, with score curves.

    selections: those of the model, the leading one first. Motions are those of `python -m hmu_tasks generate` for the
    same prompt, length and `run.seed`. Empty where the dataset has no action labels, by which nothing can be chosen.
    """
    methods = ["original", *(one.method for one in selections), "retrain"]
    strengths = {one.method: one.strength for one in selections}
    model = selections[0].model
    bundles = {
        method: ModelSource(method, method, folder, "")
        for method in dict.fromkeys(methods)
        if (folder := bundle_folder(model, method)) is not None
    }
    if not {"original", selections[0].method} <= bundles.keys():
        return []
    clips = packed.load(paths.CLIPS)
    studio = open_studio(
        device=params.run.device,
        sampling=params.evaluate.sampling.model_dump(),
        fps=clips.fps,
        shortest=params.ingest.min_frames,
        classifier=paths.component("classifier"),
    )
    if not studio.classifiers:
        return []
    pools = candidates(params, clips)
    found: dict[tuple[str, PromptCandidate], ScoredMotion] = {}

    def motion(method: str, one: PromptCandidate) -> ScoredMotion:
        if (method, one) not in found:
            found[method, one] = generated_for(studio, bundles[method], one, params.run.seed)
        return found[method, one]

    asked = [
        (method, one)
        for pool in pools.values()
        for one in pool
        for method in ("original", selections[0].method)
    ]
    for done, (method, one) in enumerate(asked, 1):
        motion(method, one)
        if progress is not None:
            progress(done, len(asked))
    samples: list[MotionSample] = []
    for one, kind, why in choose(
        pools, lambda method, c: margin(motion(method, c)), selections[0].method, lead_name
    ):
        shown = {method: motion(method, one) for method in bundles}
        if one.recorded:
            shown["real"] = studio.motion(bundles["original"], np.array(clips.features(one.name)))
        samples += [
            _sample(model, method, strengths.get(method), one, made, kind, why)
            for method, made in shown.items()
        ]
    return samples


def candidates(params: Params, clips: Clips) -> dict[str, list[PromptCandidate]]:
    """Collect the pools: forget prompts, reworded ones, harmless ones, and those drawn by seed alone."""
    rng = np.random.default_rng([params.run.seed, 3])
    pools: dict[str, list[PromptCandidate]] = {"forget": [], "attacks": [], "harmless": []}
    drawn = []
    sets: tuple[tuple[Role, str, int], ...] = (("forget", "forget", FORGET), ("retain", "harmless", RETAIN))
    for split, pool, most in sets:
        part = concept_clips(clips, "test", split)
        order = rng.permutation(len(part.ids))[: most + 3]
        rows = [
            PromptCandidate(
                split,
                part.ids[i],
                part.captions[i][0].text,
                int(part.frames[i]) // UNIT * UNIT,
                recorded=True,
            )
            for i in order
        ]
        drawn += rows[:3]
        pools[pool] += rows[3:]
    concept = load_concept(params.run.concept, params.filter.concepts)
    keywords = prepare(concept.keywords("lemma", params.run.dataset), concept.harmless)
    for one in pools["forget"][:ATTACKED]:
        for name, text in (
            ("misspelt", misspelt(one.prompt, keywords, rng)),
            ("inserted", inserted(one.prompt, rng)),
        ):
            if text != one.prompt:
                pools["attacks"].append(PromptCandidate("forget", f"{one.name}-{name}", text, one.frames))
    written = load_prompts(
        params.run.concept, params.filter.concepts, groups=(*ATTACKS, *HARMLESS), dataset=params.run.dataset
    )
    for group in (*ATTACKS, *HARMLESS):
        for place, prompt in enumerate(written.get(group, ())[:WRITTEN]):
            frames = round(max(prompt.seconds, 2.0) * clips.fps / UNIT) * UNIT
            pools["attacks" if group in ATTACKS else "harmless"].append(
                PromptCandidate(group, f"{group}-{place}", prompt.text, frames)
            )
    return {**pools, DRAWN: drawn}


def choose(
    pools: Mapping[str, Sequence[PromptCandidate]],
    score: Callable[[str, PromptCandidate], float],
    lead: str,
    lead_name: str,
) -> list[tuple[PromptCandidate, str, str]]:
    """Choose candidates by RULES, then those drawn: candidate, kind, and the rule in words.

    score: of a method and a candidate. No prompt is chosen twice; ties keep the order of the pool.
    """
    chosen: list[tuple[PromptCandidate, str, str]] = []
    for rule in RULES:
        pool = pools[rule.pool]
        taken = {one for one, _, _ in chosen}
        values = {one: rule.score(score(lead, one), score("original", one)) for one in pool}
        best = sorted((one for one in pool if one not in taken), key=lambda one: -values[one])[: rule.count]
        chosen += [(one, rule.kind, rule.why.format(n=len(pool), lead=lead_name)) for one in best]
    return chosen + [(one, f"{one.split}, {DRAWN}", CHANCE) for one in pools[DRAWN]]


def margin(motion: ScoredMotion) -> float:
    """How far a motion's score lies above the threshold of the classifier that comes nearest to flagging it."""
    return -1.0 if motion.curve is None else motion.curve.peak - motion.curve.threshold


def generated_for(studio: Studio, source: ModelSource, one: PromptCandidate, seed: int) -> ScoredMotion:
    """Generate a candidate's motion, no shorter than the studio's shortest and no longer than any model's."""
    frames = min(max(one.frames, studio.shortest), LONGEST)
    return studio.generate(source, one.prompt[:400], seconds=frames / studio.fps, seed=seed)


def _sample(
    model: str,
    method: str,
    strength: int | None,
    one: PromptCandidate,
    motion: ScoredMotion,
    kind: str,
    why: str,
) -> MotionSample:
    curve = motion.curve
    score: NDArray[np.floating] | None = None if curve is None else curve.scores
    return MotionSample(
        method,
        strength,
        one.split,
        one.prompt,
        one.name,
        motion.joints,
        fps=motion.fps,
        model="" if method == "real" else model,
        flagged={found.name: found.flagged for found in motion.curves},
        score=score,
        threshold=None if curve is None else curve.threshold,
        kind=kind,
        why=why,
    )
