"""Step `filter`: divide each split into a forget and a retain set by a concept's keywords."""

from pathlib import Path

from hmu_tasks.config.params import Params
from hmu_tasks.data.clips.clips import SPLITS
from hmu_tasks.data.clips.id_lists import write_ids
from hmu_tasks.data.clips.packed import read_table
from hmu_tasks.data.concepts.concepts import CONCEPTS_FILE, load_concept
from hmu_tasks.data.division.partition import FilterResult, filter_clips
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.files import replacing_folder, write_json
from hmu_tasks.runtime.progress import Progress


def run(params: Params, progress: Progress | None = None) -> Path:
    """Write data/split/ from data/clips/ for the concept, rule and threshold in params.yaml; returns the folder."""
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
    """Divide a folder of packed clips; writes the id lists of each split, and filter.json.

    concepts: a file of further concepts. Raises DataError if a table is missing or damaged, or a split has nothing to
    forget or retain; ConfigError for an unknown concept.
    """
    result = filter_clips(
        read_table(clips_folder / "captions.parquet"),
        read_table(clips_folder / "clips.parquet"),
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
