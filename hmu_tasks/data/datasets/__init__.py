"""Datasets: each is a module that reads one kind of raw folder, with its descriptor inside."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmu_tasks.runtime.addresses import found_at
from hmu_tasks.runtime.errors import ConfigError

if TYPE_CHECKING:
    from hmu_tasks.runtime.section import Section

# Addresses of descriptors, in modules that import no numpy: params.yaml is checked against them.
DATASETS: dict[str, str] = {
    "synthetic": "hmu_tasks.data.datasets.synthetic:DATASET",
    "humanml3d": "hmu_tasks.data.datasets.humanml3d:DATASET",
    "motionx": "hmu_tasks.data.datasets.motionx:DATASET",
    "kitml": "hmu_tasks.data.datasets.kitml:DATASET",
    "bvh": "hmu_tasks.data.datasets.bvh:DATASET",
}


@dataclass(frozen=True)
class Dataset:
    """How a dataset comes in. It has a `reader` or a `finder`, addresses of functions both.

    reader: (folder, fps) -> iterator of `Clip`, and of `Skipped` for what cannot be used. finder: for a raw folder in
    HumanML3D's layout, (folder) -> `raw.Source`; the folder is then read by `raw.RawFolder`.
    converter: address of what makes that folder from another form in which the dataset is distributed,
    (source, target, on_bad, progress) -> the folder to read and notes for the user; a source that needs no conversion
    is returned as it is.
    writer: address of what makes that folder, (folder, seed, progress, knobs of its section); None where the user
    brings it. sampler: of a generated dataset, address of what makes new clips of its distribution, (seed, split,
    index, forget_share) -> a clip and its mirror image with captions.
    section: schema of `ingest.<name>` in params.yaml, where the dataset has knobs of its own. check: raises
    ValueError where the section `ingest` asks for what cannot be; it also gets the folder that `writer` fills.
    fps: frames per second of the motions, where `ingest.fps` names no other. width: features per frame. mirrored:
    whether there are mirrored twins. tagged: whether captions have tokens, all or none.
    """

    name: str
    reader: str | None = None
    finder: str | None = None
    converter: str | None = None
    writer: str | None = None
    sampler: str | None = None
    section: "type[Section] | None" = None
    check: Callable[[Any, Path], None] | None = None
    fps: float = 20.0
    width: int = 263
    mirrored: bool = True
    tagged: bool = True


def dataset_named(name: str) -> Dataset:
    """Return the descriptor of a dataset; ConfigError lists the known ones."""
    if name not in DATASETS:
        raise ConfigError(f"unknown dataset {name!r}; choose one of {', '.join(DATASETS)}")
    found: Dataset = found_at(DATASETS[name])
    assert found.name == name, f"{DATASETS[name]} is called {found.name!r}"
    return found
