"""Step `ingest`: read a raw dataset folder, or draw the synthetic one, into the packed clips of data/clips."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path

from hmu_tasks import paths
from hmu_tasks.data import raw_writer
from hmu_tasks.data.clips import OnBad, Progress
from hmu_tasks.data.humanml3d import RawFolder
from hmu_tasks.data.packed import PackReport, pack
from hmu_tasks.files import replacing_folder, write_json
from hmu_tasks.params import Params


def run(params: Params, progress: Progress | None = None) -> PackReport:
    """Write data/clips from the dataset that params.yaml names; a written dataset goes to data/raw/<dataset> first."""
    knobs = params.ingest
    source = knobs.source
    writer = raw_writer(params.run.dataset)
    if writer is not None:
        source = paths.RAW / params.run.dataset
        settings = getattr(knobs, params.run.dataset).model_dump()
        with replacing_folder(source) as folder:
            writer(folder, seed=params.run.seed, progress=progress, **settings)
    return ingest(
        source,
        paths.CLIPS,
        min_frames=knobs.min_frames,
        max_frames=knobs.max_frames,
        on_bad=knobs.on_bad,
        progress=progress,
    )


def ingest(
    source: Path,
    target: Path,
    *,
    min_frames: int = 40,
    max_frames: int = 200,
    on_bad: OnBad = "error",
    progress: Progress | None = None,
) -> PackReport:
    """Pack a raw folder in HumanML3D's layout into `target`, with ingest.json: counts, and what was skipped and why.

    The folder's own Mean.npy and Std.npy are kept; without them, both are computed over the training clips. Nothing
    is left at `target` when a DataError stops the work, or what was there before.
    """
    raw = RawFolder(source, min_frames=min_frames, max_frames=max_frames, on_bad=on_bad)
    with replacing_folder(target) as folder:
        report = pack(raw.clips(progress), folder, statistics=raw.statistics(), actions=raw.actions)
        reasons = Counter(entry.reason for entry in raw.skipped)
        skipped = [asdict(entry) for entry in raw.skipped]
        write_json(folder / "ingest.json", {**asdict(report), "reasons": reasons, "skipped": skipped})
    return report
