"""Datasets and motion representations: readers, features, the packed clips that every later step reads."""

from collections.abc import Callable
from importlib import import_module

from hmu_tasks.errors import ConfigError

# What makes the raw folder, in HumanML3D's layout, that ingest reads; None where the user brings such a folder.
# Addresses instead of functions: `--help` must not wait for numpy.
DATASETS: dict[str, str | None] = {
    "synthetic": "hmu_tasks.data.synthetic:write_raw_folder",
    "humanml3d": None,
}


def raw_writer(dataset: str) -> Callable[..., None] | None:
    """Return the function that writes a dataset's raw folder, or None; ConfigError lists the known datasets."""
    if dataset not in DATASETS:
        raise ConfigError(f"unknown dataset {dataset!r}; choose one of {', '.join(DATASETS)}")
    address = DATASETS[dataset]
    if address is None:
        return None
    module, _, name = address.partition(":")
    writer: Callable[..., None] = getattr(import_module(module), name)
    return writer
