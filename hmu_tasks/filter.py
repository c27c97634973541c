"""Step `filter`: divide each split into a forget and a retain set by a concept's keywords."""

from collections.abc import Sequence
from pathlib import Path

from hmu_tasks.config.params import Params
from hmu_tasks.data.clips.clips import SPLITS
from hmu_tasks.data.clips.id_lists import write_ids
from hmu_tasks.data.clips.packed import read_table
from hmu_tasks.data.concepts.concepts import CONCEPTS_FILE, load_concept
from hmu_tasks.data.concepts.matching import match
from hmu_tasks.data.division.partition import FilterResult, filter_clips
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import DataError
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
        parts=tuple(params.unlearn.lcr.parts),
        shots=max(params.probe.relearning.shots),
        safe_shots=params.probe.relearning.safe_shots,
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
    parts: Sequence[str] = (),
    shots: int = 0,
    safe_shots: int = 0,
) -> FilterResult:
    """Divide a folder of packed clips; writes the id lists of each split, and filter.json.

    concepts: a file of further concepts. parts: sub-concepts of unlearn.lcr.parts; shots, safe_shots: training clips
    that probe.relearning uses. They are checked here because what they need is known here, hours before it is used.
    Raises DataError if a table is missing or damaged, or a split has too little to forget or retain; ConfigError for an
    unknown concept.
    """
    captions = read_table(clips_folder / "captions.parquet")
    wanted = load_concept(concept, concepts)
    named = [load_concept(part, concepts, key="unlearn.lcr.parts") for part in parts]
    result = filter_clips(
        captions, read_table(clips_folder / "clips.parquet"), wanted, dataset, rule=rule, matches=matches
    )
    forget = set(result.forget["train"])
    for part in named:
        hits = match(captions, part, dataset=dataset, rule=rule)
        if not any(words and clip in forget for clip, words in zip(captions["clip_id"], hits, strict=True)):
            raise DataError(
                f"unlearn.lcr.parts names {part.name}, but no forget clip of the training split matches it; remove it"
            )
    for role, key, least in (("forget", "shots", shots), ("retain", "safe_shots", safe_shots)):
        there = len(getattr(result, role)["train"])
        if least > there:
            raise DataError(
                f"probe.relearning.{key} is {least}, but the training split has {there} clips to {role}; lower it to "
                f"{there} or less"
            )
    with replacing_folder(target) as folder:
        for split in SPLITS:
            write_ids(folder, split, "forget", result.forget[split])
            write_ids(folder, split, "retain", result.retain[split])
        write_json(folder / "filter.json", result.summary)
    return result
