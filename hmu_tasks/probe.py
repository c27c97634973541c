"""Step `probe`: attack the selected edits of a method, and count how often the concept comes back."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from hmu_tasks.config.params import Params
from hmu_tasks.data.concepts.concepts import PROBE_GROUPS, PROMPT_GROUPS
from hmu_tasks.data.concepts.lemmas import Keywords, lemma_hits, prepare
from hmu_tasks.evaluation.prompts import Prompts, written_prompts
from hmu_tasks.evaluation.selected import selected_edits
from hmu_tasks.evaluation.setup import open_setup
from hmu_tasks.metrics.headline import of_probes
from hmu_tasks.metrics.records import ProbeRecord, labelled
from hmu_tasks.models.generators.bundle import Bundle, load_bundle
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.components import absent_reason
from hmu_tasks.probes.bench import Bench
from hmu_tasks.probes.context import context_attacks
from hmu_tasks.probes.embedding import Budget, vector_attacks
from hmu_tasks.probes.outcome import Attack, AttackOutcome, record, resumed
from hmu_tasks.probes.prompts import sampled_clips, sampled_prompts
from hmu_tasks.probes.success import success_of
from hmu_tasks.probes.tampering import (
    Relearning,
    cast_attacks,
    relearning_attacks,
    restorations,
    revival_attacks,
    swap_attacks,
)
from hmu_tasks.probes.wording import suppression_probes, text_attacks
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.cache import key_of
from hmu_tasks.runtime.files import replacing_folder, write_json
from hmu_tasks.runtime.progress import Progress
from hmu_tasks.training.loop.batches import ClipSet

ASKED_HERE = set(PROBE_GROUPS) - set(PROMPT_GROUPS)  # groups that are not splits of the evaluation


@dataclass(frozen=True)
class Tools:
    """Inputs of attackers: keywords, forget and retain clips of the training split, written prompts.

    shown: the real motions of the prompts that are attacked, raw features.
    """

    keywords: Keywords
    shown: Sequence[np.ndarray]
    clips: ClipSet
    safe: ClipSet
    written: Mapping[str, Prompts]


def run(params: Params, model: str, method: str, progress: Progress | None = None) -> None:
    """Write probe.json, one record per attack on each probed edit of `method`, and headline.json, the worst of them.

    `original` and `retrain` are probed, too.
    """
    params.check(model, method)
    identity = params.identity(model, method)
    with replacing_folder(paths.probing(model, method)) as folder:
        rows = _probed(params, identity, progress)
        write_json(folder / "probe.json", rows)
        write_json(folder / "headline.json", of_probes(rows))


def _probed(params: Params, identity: Mapping[str, str], progress: Progress | None) -> list[ProbeRecord]:
    source = paths.edits(identity["model"], identity["method"])
    if absent_reason(source) is not None:
        return []
    edits = selected_edits(identity["model"], identity["method"])
    if params.probe.edits != "all":
        edits = dict(list(edits.items())[:1])
    bench, tools = _open(params)
    original = load_bundle(paths.edits(identity["model"], "original") / "s0", bench.device)
    rows: list[ProbeRecord] = []
    spent: list[Path] = []
    for number, (name, edit) in enumerate(edits.items()):
        bundle = load_bundle(source / name, bench.device)
        attacks = _attacks(params, bench, tools, bundle, original)
        key = _key(params, bench, tools, bundle, original)
        scratch = paths.SCRATCH / f"probe-{bundle.digest[:12]}-{key}"
        spent.append(scratch)
        outcomes: list[AttackOutcome] = []
        for done, attack in enumerate(attacks, start=1):
            outcomes += resumed(attack, scratch)
            if progress is not None:
                progress(number * len(attacks) + done, len(edits) * len(attacks))
        labels = labelled(identity, edit=name, strength=edit["strength"], seed=edit["seed"])
        rows += [record(outcome, labels, bundle=bundle.digest) for outcome in outcomes]
    for scratch in spent:
        shutil.rmtree(scratch, ignore_errors=True)
    return rows


def _attacks(params: Params, bench: Bench, tools: Tools, bundle: Bundle, original: Bundle) -> list[Attack]:
    knobs = params.probe
    return [
        *text_attacks(bench, bundle, tools.keywords, tools.written),
        *vector_attacks(bench, bundle, original, tools.clips, Budget(**knobs.embedding.model_dump())),
        *context_attacks(bench, bundle, tools.shown),
        *relearning_attacks(
            bench, bundle, tools.clips, tools.safe, Relearning(**knobs.relearning.model_dump())
        ),
        *swap_attacks(bench, bundle, original),
        *revival_attacks(bench, bundle, original, knobs.revival),
        *restorations(bench, bundle, original, knobs.restored),
        *cast_attacks(bench, bundle, knobs.precision),
        *suppression_probes(bench, bundle, original, tools.written, level=knobs.suppression_level),
    ]


def _open(params: Params) -> tuple[Bench, Tools]:
    """Open the shared inputs of all attacks.

    Hand-written prompts are repeated as often as in the evaluation, whose codes are then read from the cache;
    over-suppression needs two motions per prompt.
    """
    knobs = params.probe
    setup = open_setup(
        device=params.run.device,
        concept=params.run.concept,
        concepts=params.filter.concepts,
        dataset=params.run.dataset,
        sampling=params.evaluate.sampling.model_dump(),
        groups=PROBE_GROUPS,
    )
    keywords = prepare(setup.concept.keywords("lemma", params.run.dataset), setup.concept.harmless)
    forget = {split: setup.concept_clips(split, "forget") for split in ("test", "train")}
    seed, origins = params.run.seed, setup.origins
    ask = partial(sampled_prompts, forget["test"], repeats=knobs.repeats, seed=seed, origins=origins)
    chosen = sampled_clips(forget["test"], knobs.prompts, seed=seed, origins=origins)
    shown = [forget["test"].features[i] for i, _ in chosen]
    bench = Bench(
        evaluators=setup.evaluators,
        success=success_of(
            setup.evaluators,
            forget["test"],
            setup.concept_clips("test", "retain"),
            retrieved=params.probe.retrieved,
        ),
        attacked=ask(knobs.prompts),
        costly=ask(min(knobs.costly_prompts, knobs.prompts)),
        keyworded=ask(knobs.prompts, wanted=lambda text: bool(lemma_hits(text, "", keywords))),
        sampling=setup.sampling,
        batch=params.evaluate.batch,
        seed=params.run.seed,
        device=setup.device,
        cache=paths.CACHE,
    )
    written = {
        group: written_prompts(
            rows,
            repeats=params.probe.repeats if group in ASKED_HERE else max(2, params.evaluate.repeats),
            fps=setup.clips.fps,
        )
        for group, rows in setup.written.items()
    }
    return bench, Tools(keywords, shown, forget["train"], setup.concept_clips("train", "retain"), written)


def _key(params: Params, bench: Bench, tools: Tools, bundle: Bundle, original: Bundle) -> str:
    """Digest of everything that a killed run's outcomes depend on."""
    inputs = {
        "probe": params.probe.model_dump(),
        "evaluate": [params.evaluate.sampling.model_dump(), params.evaluate.repeats, params.evaluate.batch],
        "run": [params.run.seed, params.run.dataset, params.run.concept, str(params.filter.concepts)],
        "device": str(bench.device),
        "bundles": [bundle.digest, original.digest],
        "evaluators": [weights.digest(paths.component(name)) for name in ("evaluator", "classifier")],
        "attacked": [
            bench.attacked.texts,
            bench.attacked.frames,
            bench.costly.n,
            bench.keyworded.texts,
            bench.keyworded.frames,
        ],
        "written": {group: [asked.texts, asked.frames] for group, asked in tools.written.items()},
    }
    code = ("data", "models", "methods", "training", "evaluation", "metrics", "probes")
    return key_of(inputs, code=code)[:12]
