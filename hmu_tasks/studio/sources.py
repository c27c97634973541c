"""The models that a prompt can be given to: bundles of the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hmu_tasks.config.params import Params
from hmu_tasks.evaluation.selected import selected_edits
from hmu_tasks.methods import METHODS, method_of
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.models.networks.components import absent_reason
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ConfigError, DataError
from hmu_tasks.runtime.files import read_object

LABELS = {"original": "original", "retrain": "D_r (retrained)"}


@dataclass(frozen=True)
class ModelSource:
    """A bundle on this machine.

    name: by which it is asked for, such as `uce`, or `bamm/uce` where the run has several models. digest: of the
    bundle, as its bundle.json records it.
    """

    name: str
    label: str
    folder: Path
    digest: str


def sources(params: Params) -> list[ModelSource]:
    """List the bundles of the run: per model the original, each method's selected edit and D_r.

    Methods that were left out, or not yet applied, are not listed. Raises DataError where there is no bundle at all.
    """
    found = []
    several = len(params.run.models) > 1
    for model in params.run.models:
        for method in (ENDS[0], *params.run.methods, *ENDS[1:]):
            folder = bundle_folder(model, method)
            if folder is None:
                continue
            found.append(_source(f"{model}/{method}" if several else method, method, folder))
    if not found:
        raise DataError(f"{paths.UNLEARN} holds no model; run `make repro` (or `dvc repro`) first")
    return found


def bundle_folder(model: str, method: str) -> Path | None:
    """Folder of the bundle that stands for a method; None if there is none."""
    place = paths.edits(model, method)
    if not place.exists() or absent_reason(place) is not None:
        return None
    if method in ENDS:
        return place / "s0"
    try:
        return place / next(iter(selected_edits(model, method)))
    except DataError:  # applied, but not evaluated
        return None


def _source(name: str, method: str, folder: Path) -> ModelSource:
    label = LABELS.get(method, method)
    if method in METHODS:
        edit = folder / "edit.json"
        label = method_of(method).titled(read_object(edit).get("strength") if edit.exists() else None)
    return ModelSource(name, label, folder, str(read_object(folder / "bundle.json", "digest")["digest"]))


def named(known: Sequence[ModelSource], names: Sequence[str]) -> list[ModelSource]:
    """Pick sources by name; ConfigError lists the known ones."""
    by_name = {one.name: one for one in known}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise ConfigError(f"there is no model {unknown[0]!r}; choose from {', '.join(by_name)}")
    return [by_name[name] for name in dict.fromkeys(names)]


def defaults(known: Sequence[ModelSource]) -> list[str]:
    """Name the models that are compared unless others are named: the edit first, then its original.

    The edit is the champion; without one, the first of `run.methods` that was evaluated.
    """
    edits = [one for one in known if one.name.rpartition("/")[2] not in ENDS]
    chosen = edits[:1] or list(known[:1])
    originals = [one for one in known if one.name.rpartition("/")[2] == ENDS[0] and one not in chosen]
    return [one.name for one in (*chosen, *originals[:1])]
