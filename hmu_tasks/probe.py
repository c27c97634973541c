"""Step `probe`: attack the selected edits of a method, and count how often the concept comes back."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hmu_tasks.config import paths
from hmu_tasks.config.params import Params
from hmu_tasks.data.clips import packed
from hmu_tasks.data.concepts.concepts import PROBE_GROUPS, PROMPT_GROUPS, load_concept, load_prompts
from hmu_tasks.data.concepts.lemmas import Keywords, lemma_hits, prepare
from hmu_tasks.evaluation.judge import load_judge
from hmu_tasks.evaluation.prompts import Prompts, concept_clips, origins, written_prompts
from hmu_tasks.models.generators.bundle import Bundle, load_bundle
from hmu_tasks.models.generators.text_to_motion import Progress, Sampling
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.components import absent_reason
from hmu_tasks.models.networks.device import pick_device
from hmu_tasks.probes.bench import Bench
from hmu_tasks.probes.embedding import Budget, vector_attacks
from hmu_tasks.probes.outcome import Attack, Outcome, record, remembered
from hmu_tasks.probes.prompts import drawn_prompts
from hmu_tasks.probes.success import success_of
from hmu_tasks.probes.tampering import (
    Relearning,
    cast_attacks,
    relearning_attacks,
    restorations,
    revival_attacks,
)
from hmu_tasks.probes.wording import suppression_probes, text_attacks
from hmu_tasks.runtime.code_digest import code_digest
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import read_json, replacing_folder, write_json
from hmu_tasks.training.loop.batches import ClipSet

Record = dict[str, Any]
ASKED_HERE = set(PROBE_GROUPS) - set(PROMPT_GROUPS)  # groups that are no splits of the evaluation


def run(params: Params, model: str, method: str, progress: Progress | None = None) -> None:
    """Write probe.json: one record per attack on each probed edit of `method`, `original` and `retrain` included."""
    params.check(model, method)
    identity = params.identity(model, method)
    with replacing_folder(paths.probing(model, method)) as folder:
        write_json(folder / "probe.json", _probed(params, identity, progress))


def _probed(params: Params, identity: Mapping[str, Any], progress: Progress | None) -> list[Record]:
    source = paths.edits(identity["model"], identity["method"])
    if absent_reason(source) is not None:
        return []
    edits = selected_edits(identity["model"], identity["method"], all_draws=params.probe.edits == "all")
    bench, clips = _bench(params)
    written = _written(params)
    original = load_bundle(paths.edits(identity["model"], "original") / "s0", bench.device)
    rows: list[Record] = []
    spent: list[Path] = []
    for number, (name, edit) in enumerate(edits.items()):
        bundle = load_bundle(source / name, bench.device)
        attacks = _attacks(params, bench, bundle, original, clips, written)
        key = _key(params, bench, bundle, original, written)
        scratch = paths.SCRATCH / f"probe-{bundle.digest[:12]}-{key}"
        spent.append(scratch)
        outcomes: list[Outcome] = []
        for done, attack in enumerate(attacks, start=1):
            outcomes += remembered(attack, scratch)
            if progress is not None:
                progress(number * len(attacks) + done, len(edits) * len(attacks))
        labels = {**identity, "edit": name, "strength": edit["strength"], "seed": edit["seed"]}
        rows += [record(outcome, {**labels, "bundle": bundle.digest}) for outcome in outcomes]
    for scratch in spent:
        shutil.rmtree(scratch, ignore_errors=True)
    return rows


def selected_edits(model: str, method: str, *, all_draws: bool) -> dict[str, Mapping[str, Any]]:
    """Edits of the strength that was selected on the validation split: the first draw, or all of them.

    Raises DataError where the method was not applied or its strength not selected.
    """
    source, selection = paths.edits(model, method), paths.evaluation(model, method) / "selection.json"
    made = {path.parent.name: read_json(path) for path in sorted(source.glob("*/edit.json"))}
    if not made:
        raise DataError(f"{source} holds no edit; run `dvc repro` so that the method is applied first")
    if any(edit["strength"] is not None for edit in made.values()):
        if not selection.exists():
            raise DataError(f"{selection} is missing; run `dvc repro` so that {method} is evaluated first")
        strength = read_json(selection)["strength"]
        made = {name: edit for name, edit in made.items() if edit["strength"] == strength}
        if not made:
            raise DataError(f"{selection} names strength {strength}, which no edit has; run `dvc repro`")
    order = sorted(made, key=lambda name: (made[name]["seed"], name))
    return {name: made[name] for name in (order if all_draws else order[:1])}


def _attacks(
    params: Params,
    bench: Bench,
    bundle: Bundle,
    original: Bundle,
    clips: Mapping[str, ClipSet],
    written: Mapping[str, Prompts],
) -> list[Attack]:
    knobs = params.probe
    return [
        *text_attacks(bench, bundle, _keywords(params), written),
        *vector_attacks(bench, bundle, original, clips["train"], Budget(**knobs.embedding.model_dump())),
        *relearning_attacks(bench, bundle, clips["train"], Relearning(**knobs.relearning.model_dump())),
        *revival_attacks(bench, bundle, original, knobs.revival),
        *restorations(bench, bundle, original, knobs.restored),
        *cast_attacks(bench, bundle, knobs.precision),
        *suppression_probes(bench, bundle, original, written, level=knobs.suppression_level),
    ]


def _keywords(params: Params) -> Keywords:
    concept = load_concept(params.run.concept, params.filter.concepts)
    return prepare(concept.keywords("lemma", params.run.dataset), concept.harmless)


def _written(params: Params) -> dict[str, Prompts]:
    """Hand-written prompts by group, as often as the evaluation asks them, whose codes are then read from the cache.

    Over-suppression needs two motions of each prompt.
    """
    fps = packed.load(paths.CLIPS).fps
    groups = load_prompts(params.run.concept, params.filter.concepts, groups=PROBE_GROUPS)
    return {
        group: written_prompts(
            [(prompt.text, prompt.seconds) for prompt in prompts],
            repeats=params.probe.repeats if group in ASKED_HERE else max(2, params.evaluate.repeats),
            fps=fps,
        )
        for group, prompts in groups.items()
        if prompts
    }


def _bench(params: Params) -> tuple[Bench, dict[str, ClipSet]]:
    device = pick_device(params.run.device)
    clips = packed.load(paths.CLIPS)
    parts = {split: concept_clips(clips, split, "forget") for split in ("test", "train")}
    keywords, knobs = _keywords(params), params.probe
    judge = load_judge(paths.component("evaluator"), paths.component("classifier"), device)
    draw = partial(
        drawn_prompts,
        parts["test"],
        knobs.prompts,
        repeats=knobs.repeats,
        seed=params.run.seed,
        origins=origins(clips.columns),
    )
    bench = Bench(
        judge=judge,
        success=success_of(
            judge, parts["test"], concept_clips(clips, "test", "retain"), retrieved=params.probe.retrieved
        ),
        drawn=draw(),
        keyworded=draw(wanted=lambda text: bool(lemma_hits(text, "", keywords))),
        sampling=Sampling(**params.evaluate.sampling.model_dump()),
        batch=params.evaluate.batch,
        seed=params.run.seed,
        device=device,
        cache=paths.CACHE,
    )
    return bench, parts


def _key(
    params: Params, bench: Bench, bundle: Bundle, original: Bundle, written: Mapping[str, Prompts]
) -> str:
    """Digest of everything that a killed run's outcomes depend on."""
    asked = {
        "probe": params.probe.model_dump(),
        "evaluate": [params.evaluate.sampling.model_dump(), params.evaluate.repeats, params.evaluate.batch],
        "run": [params.run.seed, params.run.dataset, params.run.concept, str(params.filter.concepts)],
        "device": str(bench.device),
        "bundles": [bundle.digest, original.digest],
        "judges": [weights.digest(paths.component(name)) for name in ("evaluator", "classifier")],
        "drawn": [bench.drawn.texts, bench.drawn.frames, bench.keyworded.texts, bench.keyworded.frames],
        "written": {group: [asked.texts, asked.frames] for group, asked in written.items()},
        "code": code_digest("data", "models", "methods", "training", "evaluation", "metrics", "probes"),
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]
