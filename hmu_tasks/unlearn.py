"""Step `unlearn`: apply a method to a model; every edit becomes a full bundle with a record of the changed tensors."""

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hmu_tasks.config.params import Params
from hmu_tasks.data.clips import packed
from hmu_tasks.data.clips.id_lists import read_ids
from hmu_tasks.methods import METHODS, method_of
from hmu_tasks.methods.method import AnyMethod, Sweep
from hmu_tasks.methods.shared.cost import Cost
from hmu_tasks.methods.shared.difference import TensorDifference, compare_states
from hmu_tasks.methods.shared.edit import Edit
from hmu_tasks.methods.shared.inputs import Inputs
from hmu_tasks.models import model_named
from hmu_tasks.models.generators.bundle import save_bundle
from hmu_tasks.models.generators.sampling import save_negative
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.components import SOURCE, absent_reason, link_files, load_config, save_absent
from hmu_tasks.models.networks.device import pick_device
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.code_digest import code_digest
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.runtime.files import read_object, replacing_folder, write_json
from hmu_tasks.runtime.progress import Progress
from hmu_tasks.training.loop.job import component_places


def original(model: str, folder: Path) -> None:
    """The original: the model trained on everything, from which every method starts."""
    _assemble(model, "full", folder / "s0")
    report: dict[str, Any] = {
        "method": "original",
        "strength": None,
        "seed": 0,
        "changed": {},
        "changed_parameters": 0,
        "cost": asdict(Cost()),
    }
    write_json(folder / "s0" / "edit.json", report)


def retrain(model: str, folder: Path) -> None:
    """D_r, the gold standard: everything but the frozen text encoder was trained from scratch on the retain set."""
    missing = absent_reason(paths.component("tokenizer", "retrain"))
    if missing is not None:
        save_absent(folder, missing)
        return
    _assemble(model, "retrain", folder / "s0")
    *trained, last = ("tokenizer", *model_named(model).networks)
    report = {
        "method": "retrain",
        "strength": None,
        "seed": 0,
        "changed": f"every tensor of {', '.join(trained)} and {last}",
        "changed_parameters": sum(
            tensor.numel()
            for name in (*trained, last)
            for key, tensor in weights.load_state(folder / "s0" / name).items()
            if not key.endswith(".pe")  # the table of sines is the same in every model
        ),
        "cost": asdict(_retraining_cost(model)),
    }
    write_json(folder / "s0" / "edit.json", report)


def run(params: Params, model: str, method: str, progress: Progress | None = None) -> None:
    """Write one bundle per edit of `method` on `model`, each with edit.json."""
    params.check(model, method)
    with replacing_folder(paths.edits(model, method)) as folder:
        if method in METHODS:
            apply(params, model, method, folder, progress)
        elif method == "retrain":
            retrain(model, folder)
        else:
            original(model, folder)
    # Deleted last, so that a run that fails to replace its folder can reuse its finished training.
    for left in paths.SCRATCH.glob(f"unlearn-{paths.training()}-{model}-{method}-*"):
        shutil.rmtree(left, ignore_errors=True)


def apply(params: Params, model: str, name: str, folder: Path, progress: Progress | None) -> None:
    """Write the bundles of a method: one per strength and seed of its sweep."""
    method, knobs = method_of(name), params.unlearn[name]
    # What resumable training depends on beside its input files.
    identity = [json.dumps(knobs.model_dump(mode="json"), sort_keys=True), str(params.run.seed)]
    identity.append(code_digest("models", "methods", "training"))
    shown = _Progress(progress, knobs.sweep)
    given = Inputs(
        original=paths.edits(model, "original") / "s0",
        clips=paths.CLIPS,
        split=paths.SPLIT,
        codebook=paths.codebook(),
        cache=paths.CACHE,
        work=paths.SCRATCH / f"unlearn-{paths.training()}-{model}-{name}",
        identity="\n".join(identity),
        seed=params.run.seed,
        device=pick_device(params.run.device),
        progress=shown.within_seed,
    )
    for seed in knobs.sweep.seeds:
        made = []
        for edit in method.apply(given, knobs, seed=seed):
            _save(edit, method, model, given.original, folder, seed)
            made.append(edit.strength)
            shown.edit_done()
        if tuple(made) != knobs.sweep.strengths:
            raise ConfigError(
                f"{name} made edits of the strengths {made} instead of {[*knobs.sweep.strengths]}"
            )
        shown.seeds_done += 1


class _Progress:
    """Progress over all seeds: in the steps that a method reports within a seed, else in edits."""

    def __init__(self, shown: Progress | None, sweep: Sweep) -> None:
        self.shown = shown
        self.seeds = len(sweep.seeds)
        self.edits = len(sweep.strengths) * self.seeds
        self.seeds_done = self.edits_done = 0
        self.in_steps = False

    def within_seed(self, done: int, total: int) -> None:
        self.in_steps = True
        if self.shown is not None:
            self.shown(self.seeds_done * total + done, self.seeds * total)

    def edit_done(self) -> None:
        self.edits_done += 1
        if self.shown is not None and not self.in_steps:
            self.shown(self.edits_done, self.edits)


def _save(edit: Edit, method: AnyMethod, model: str, source: Path, folder: Path, seed: int) -> None:
    """Write an edit as a full bundle, with edit.json: which tensors changed and that all others kept their bytes."""
    prefix = "" if edit.strength is None else f"strength{edit.strength:03d}-"
    target = folder / f"{prefix}s{seed}"
    known = model_named(model)
    changeable = method.changed_parts(tuple(known.networks))
    beside = {} if edit.negative is None else dict.fromkeys(known.networks, edit.negative)
    foreign = sorted({*edit.states, *beside} - {*changeable})
    if foreign:
        raise ConfigError(f"{method.name} changes {', '.join(foreign)}, which its descriptor does not name")
    parts = {name: source / name for name in known.parts}
    for name in {**edit.states, **beside}:
        parts[name] = target / name
        link_files(source / name, parts[name])
    changes = {}
    for name, state in edit.states.items():
        changes[name] = compare_states(
            weights.load_state(source / name), state, kept=edit.kept.get(name), trained=edit.trained
        )
        weights.save(state, {**load_config(source / name), **edit.configs.get(name, {})}, parts[name])
    for name, negative in beside.items():
        save_negative(negative, parts[name])
    save_bundle(parts, target, {"method": method.name, "from": source.as_posix()}, model=model)
    report = {"method": method.name, "strength": edit.strength, "seed": seed, "cost": asdict(edit.cost)}
    write_json(
        target / "edit.json",
        {**report, **edit.report, **_change_entries(edit, known.parts, changeable, changes)},
    )


def _change_entries(
    edit: Edit, parts: Sequence[str], changeable: Sequence[str], changes: Mapping[str, TensorDifference]
) -> dict[str, Any]:
    """Entries of edit.json about the changed parts; changeable: the parts that the method may change."""
    found: dict[str, Any] = {"changed_parameters": sum(change.values for change in changes.values())}
    if edit.listed.edited:
        found["edited"] = [
            f"{name}.{tensor}" for name, change in changes.items() for tensor in change.changed
        ]
    if edit.listed.untouched:
        # Components that the method never changes, then those that this edit does not change.
        never, kept = sorted({*parts} - {*changeable}), sorted({*changeable} - {*changes})
        found["untouched_components"] = [*never, *kept]
    for name, change in changes.items():
        found[name] = asdict(change)
        if not change.deleted:
            del found[name]["deleted"]
        for tensor in found[name]["changed"].values() if not edit.listed.rows else ():
            del tensor["rows"]
    return found


def _retraining_cost(model: str) -> Cost:
    """Cost of D_r: the steps of tokenizer and networks if they were trained here, on the retain set."""
    steps: int | None = 0
    for part, component in model_named(model).components.items():
        if part == "text":
            continue  # D_r reads the same sentence vectors
        history = paths.component(component, "retrain") / "history.csv"
        with history.open(encoding="utf-8", newline="") as file:
            taken = [int(row["step"]) for row in csv.DictReader(file)]
        steps = steps + max(taken) if taken and steps is not None else None
    kept = set(read_ids(paths.SPLIT, "train", "retain"))
    read = sum(clip_id in kept for clip_id, _, _ in packed.load(paths.CLIPS).caption_rows())
    return Cost(steps, len(kept), read)


def _assemble(model: str, variant: str, folder: Path) -> None:
    parts = component_places(model, variant)
    # Checkpoints that were not trained here are named by the digests of their files.
    sources = {
        name: read_object(place / SOURCE) for name, place in parts.items() if (place / SOURCE).is_file()
    }
    lineage = {"method": "train", "variant": variant} | ({"sources": sources} if sources else {})
    save_bundle(parts, folder, lineage, model=model)
