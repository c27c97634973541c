"""Step `train`: train or import one component as a folder; a killed training resumes from its checkpoint."""

import hashlib
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from hmu_tasks.config.params import Params, flat
from hmu_tasks.models import MODELS, model_named
from hmu_tasks.models.networks.device import pick_device
from hmu_tasks.models.networks.weights import digest
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.addresses import found_at
from hmu_tasks.runtime.code_digest import code_digest
from hmu_tasks.runtime.errors import ConfigError, DataError
from hmu_tasks.runtime.files import replacing_folder
from hmu_tasks.runtime.progress import Progress
from hmu_tasks.tracking.live import LiveCurves
from hmu_tasks.training.loop.history import History
from hmu_tasks.training.loop.job import Job, component_places
from hmu_tasks.training.loop.processes import first, joined

# Import paths instead of functions: a step loads the networks of its own component only.
TRAINERS: dict[str, str] = {
    "text": "hmu_tasks.training.text:train",
    "evaluator": "hmu_tasks.training.evaluator:train",
    "tokenizer": "hmu_tasks.training.tokenizer:train",
    "base": "hmu_tasks.training.base:train",
    "residual": "hmu_tasks.training.residual:train",
    "classifier": "hmu_tasks.training.classifier:train",
}
OFFICIAL = "hmu_tasks.training.pretrained:importer"
COMPONENTS = (
    "text",
    "evaluator",
    "tokenizer",
    *(f"base-{name}" for name in MODELS),
    "residual",
    "classifier",
)
VARIANTS = ("full", "retrain")
# Components shared by all models are trained once.
UNVARIED = ("text", "evaluator", "classifier")


def run(params: Params, component: str, variant: str | None, progress: Progress | None = None) -> Path:
    """Train or import `component` (of the `full` training split or of the `retain` set only) and return its folder.

    Writes model.safetensors, config.json and history.csv (step, name, value); where motions are read, also
    statistics.safetensors.
    """
    if component not in COMPONENTS:
        raise ConfigError(f"unknown component {component!r}; choose one of {', '.join(COMPONENTS)}")
    if variant is not None and variant not in VARIANTS:
        raise ConfigError(f"unknown variant {variant!r}; choose one of {', '.join(VARIANTS)}")
    if variant is None and component not in UNVARIED:
        raise ConfigError(f"component {component!r} needs a variant; choose one of {', '.join(VARIANTS)}")
    if variant is not None and component in UNVARIED:
        raise ConfigError(f"component {component!r} has no variants; leave {variant!r} out")
    target = paths.component(component, variant)
    scratch = paths.SCRATCH / f"{target.name}-{_key(params, component, variant)}"
    imported = _importer(params, component, variant)
    with joined(pick_device(params.run.device)):
        if not first():  # its results are those of the first process
            with TemporaryDirectory() as unused:
                place = Path(unused)
                number = 0 if component in paths.SHARED else paths.training()
                job = Job(params, variant, place, scratch / "checkpoint.pt", None, training=number)
                (imported or trainer(component))(job)
            return target
        return _written(params, component, variant, progress, target, scratch, imported)


def _written(
    params: Params,
    component: str,
    variant: str | None,
    progress: Progress | None,
    target: Path,
    scratch: Path,
    imported: Callable[[Job], History] | None,
) -> Path:
    """Train into the component's folder, with live curves, and remove what a continued training would need."""
    section = component.partition("-")[0] if imported is None else "pretrained"
    knobs = flat(params.train.model_dump(mode="json")[section])
    shown = LiveCurves(
        target,
        params={**knobs, "mode": params.train.mode, "seed": params.run.seed},
        tags={"component": component, "variant": variant or "all"},
        track=params.run.track,
    )
    with shown, replacing_folder(target) as folder:
        shared = component in paths.SHARED
        job = Job(
            params,
            variant,
            folder,
            scratch / "checkpoint.pt",
            progress,
            shown,
            training=0 if shared else paths.training(),
        )
        history = (imported or trainer(component))(job)
        (folder / "history.csv").write_text(history.csv(), encoding="utf-8")
    shutil.rmtree(scratch, ignore_errors=True)
    return target


def trainer(component: str) -> Callable[[Job], History]:
    """Return the trainer of a component; `base-<model>` is the network that belongs to this model alone."""
    name, _, model = component.partition("-")
    own = model_named(model).trainer if model else None
    found: Callable[..., History] = found_at(own or TRAINERS[name])
    return partial(found, model=model) if model else found


def _importer(params: Params, component: str, variant: str | None) -> Callable[[Job], History] | None:
    """Return the importer of a component from official checkpoints; None if it is to be trained."""
    if params.train.mode != "pretrained":
        return None
    importer: Callable[..., Callable[[Job], History] | None] = found_at(OFFICIAL)
    return importer(params, component, variant)


def upstream(params: Params, component: str, variant: str | None) -> list[Path]:
    """Return the trained components that this one is trained on."""
    if component == "text":
        return [paths.component("tokenizer", "full")]
    if component == "classifier":
        return [place for v in VARIANTS for place in component_places(params.run.models[0], v).values()]
    if component == "residual" or component.startswith("base-"):
        return [paths.component("text"), paths.component("tokenizer", variant)]
    return []


def _key(params: Params, component: str, variant: str | None) -> str:
    """Name training state by everything that it depends on, so that it is never continued under other inputs."""
    sections = {"train": params.train.model_dump(mode="json"), "seed": params.run.seed}
    parts = [json.dumps(sections, sort_keys=True), component, str(variant), str(paths.training())]
    parts.append(str(pick_device(params.run.device)))
    inputs = [paths.CLIPS / "clips.parquet", paths.CLIPS / "captions.parquet", paths.CLIPS / "features.npy"]
    for path in inputs:
        if not path.exists():
            raise DataError(f"{path} is missing; run the ingest step first")
    inputs += sorted(paths.SPLIT.glob("*.txt"))
    parts.append(code_digest("models", "training"))
    parts += [digest(path) for path in inputs]
    parts += [digest(folder) for folder in upstream(params, component, variant) if folder.exists()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
