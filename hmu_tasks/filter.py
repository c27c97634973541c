"""Step `filter`: divide the clips of each split into a forget and a retain set by a concept's keywords."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from hmu_tasks.config import paths
from hmu_tasks.config.params import Params
from hmu_tasks.data.clips.clips import SPLITS
from hmu_tasks.data.clips.id_lists import write_ids
from hmu_tasks.data.concepts.concepts import CONCEPTS_FILE, load_concept
from hmu_tasks.data.division.partition import FilterResult, filter_clips
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import replacing_folder, write_json


def run(params: Params, progress: Callable[[int, int], None] | None = None) -> Path:
    """Write data/split/ from data/clips/ for the concept, rule and threshold of params.yaml; returns the folder."""
    filter_folder(
        paths.CLIPS,
        paths.SPLIT,
        dataset=params.run.dataset,
        concept=params.run.concept,
        rule=params.filter.rule,
        matches=params.filter.matches,
        concepts=params.filter.concepts,
    )
    if progress is not None:
        progress(1, 1)
    return paths.SPLIT


def filter_folder(
    clips_folder: Path,
    target: Path,
    *,
    dataset: str,
    concept: str,
    rule: str,
    matches: int,
    concepts: Path = CONCEPTS_FILE,
) -> FilterResult:
    """Divide the packed clips of a folder and write the id lists of each split and filter.json.

    concepts: a file with concepts beside the shipped ones. Raises DataError when a file is missing or a split has
    nothing to forget, ConfigError for an unknown concept.
    """
    tables = {}
    for name in ("clips", "captions"):
        path = clips_folder / f"{name}.parquet"
        if not path.exists():
            raise DataError(f"{path} is missing; run the ingest step first")
        tables[name] = pd.read_parquet(path)
    result = filter_clips(
        tables["captions"],
        tables["clips"],
        load_concept(concept, concepts),
        dataset,
        rule=rule,
        matches=matches,
    )
    with replacing_folder(target) as folder:
        for split in SPLITS:
            write_ids(folder, split, "forget", result.forget[split])
            write_ids(folder, split, "retain", result.retain[split])
        write_json(folder / "filter.json", result.summary)
    return result
