"""Datasets and motion representations: readers, features, the packed clips that every later step reads."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from hmu_tasks.runtime.errors import ConfigError


@dataclass(frozen=True)
class Dataset:
    """How a dataset comes in. Addresses instead of functions: `--help` must not wait for numpy.

    finder: what finds motions, texts and split lists in the raw folder (`humanml3d.find` and its like).
    writer: what makes that folder, in HumanML3D's layout; None where the user brings it.
    fps: frames per second of its motions, where `ingest.fps` names no other. width: features per frame.
    mirrored: whether it holds mirrored twins. tagged: whether its captions have tokens all or none.
    """

    finder: str = "hmu_tasks.data.datasets.humanml3d:find"
    writer: str | None = None
    fps: float = 20.0
    width: int = 263
    mirrored: bool = True
    tagged: bool = True


DATASETS: dict[str, Dataset] = {
    "synthetic": Dataset(writer="hmu_tasks.data.datasets.synthetic:write_raw_folder"),
    "humanml3d": Dataset(),
    "motionx": Dataset(finder="hmu_tasks.data.datasets.motionx:find", fps=30.0, tagged=False),
    "kitml": Dataset(finder="hmu_tasks.data.datasets.kitml:find", fps=12.5, width=251),
    "bvh": Dataset(writer="hmu_tasks.data.datasets.bvh:write_raw_folder"),
}


def dataset_of(name: str) -> Dataset:
    """Return a dataset by name; ConfigError lists the known ones."""
    if name not in DATASETS:
        raise ConfigError(f"unknown dataset {name!r}; choose one of {', '.join(DATASETS)}")
    return DATASETS[name]


def finder(name: str) -> Callable[..., Any]:
    """Return the function that finds a dataset's files in its raw folder: (folder) -> raw.Source."""
    return _imported(dataset_of(name).finder)


def raw_writer(name: str) -> Callable[..., None] | None:
    """Return the function that writes a dataset's raw folder, or None where the user brings it."""
    address = dataset_of(name).writer
    return None if address is None else _imported(address)


def _imported(address: str) -> Callable[..., Any]:
    module, _, name = address.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found
