"""The studio of a working folder: its models, sampling and classifiers as params.yaml and the clips say."""

from pathlib import Path

from hmu_tasks.config.params import Params
from hmu_tasks.data.clips import packed
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.studio.champion import with_champion
from hmu_tasks.studio.motions import Studio, open_studio
from hmu_tasks.studio.sources import ModelSource, sources


def open_here(params: Params, scratch: Path, *, champion: bool = True) -> tuple[Studio, list[ModelSource]]:
    """Open the working folder's studio and list its models, the registry's champion first.

    scratch: existing folder for files of a champion. Raises DataError where the run has made no model yet.
    """
    if not paths.CLIPS.exists():
        raise DataError(
            f"{paths.CLIPS} is missing in {Path.cwd()}; run `make repro` first, or `dvc pull` where a remote holds "
            "the results"
        )
    known = sources(params)
    studio = open_studio(
        device=params.run.device,
        sampling=params.evaluate.sampling.model_dump(),
        fps=packed.load(paths.CLIPS).fps,
        shortest=params.ingest.min_frames,
        classifier=paths.component("classifier"),
    )
    return studio, with_champion(known, scratch) if champion else known
