"""Step `ingest`: pack a raw dataset folder, or the generated synthetic one, into data/clips."""

import sys
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hmu_tasks.config.params import Params
from hmu_tasks.data.clips.clips import OnBad, Skipped
from hmu_tasks.data.clips.packed import PackReport, pack
from hmu_tasks.data.datasets import Dataset, dataset_named
from hmu_tasks.data.datasets.raw import RawFolder
from hmu_tasks.data.datasets.stream import ClipStream
from hmu_tasks.data.motion.layout import layout_of
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.addresses import found_at
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import replacing_folder, write_json
from hmu_tasks.runtime.progress import Progress


@dataclass(frozen=True)
class IngestReport:
    """What was packed, what was skipped and why, and the ids by stored dtype, if not float32.

    notes: what the conversion of another form of the dataset could not use.
    """

    packed: PackReport
    skipped: tuple[Skipped, ...]
    converted: dict[str, list[str]]
    notes: tuple[str, ...] = ()


def run(params: Params, progress: Progress | None = None) -> IngestReport:
    """Pack the dataset of params.yaml into data/clips; a generated or converted one is first written to data/raw/."""
    knobs = params.ingest
    source = knobs.source
    dataset = dataset_named(params.run.dataset)
    if dataset.writer is not None:
        source = paths.RAW / dataset.name
        settings = getattr(knobs, dataset.name).model_dump() if dataset.section else {}
        with replacing_folder(source) as folder:
            found_at(dataset.writer)(folder, seed=params.run.seed, progress=progress, **settings)
    notes: tuple[str, ...] = ()
    if dataset.converter is not None:
        converted = found_at(dataset.converter)(
            source, paths.RAW / f"{dataset.name}-converted", on_bad=knobs.on_bad, progress=progress
        )
        source, notes = converted.folder, converted.notes
    return ingest(
        source,
        paths.CLIPS,
        dataset=dataset.name,
        fps=knobs.fps,
        min_frames=knobs.min_frames,
        max_frames=knobs.max_frames,
        on_bad=knobs.on_bad,
        notes=notes,
        progress=progress,
    )


def ingest(
    source: Path,
    target: Path,
    *,
    dataset: str = "humanml3d",
    fps: float | None = None,
    min_frames: int = 40,
    max_frames: int = 200,
    on_bad: OnBad = "error",
    notes: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> IngestReport:
    """Pack a dataset's raw folder into `target`, with ingest.json: counts, and what was skipped and why.

    fps: of the raw motions; None for the dataset's default. The folder's own Mean.npy and Std.npy are kept; without
    them, both are computed over the training clips. notes: see `IngestReport`. On DataError, `target` stays as it was.
    """
    raw = _opened(
        dataset_named(dataset), source, fps=fps, min_frames=min_frames, max_frames=max_frames, on_bad=on_bad
    )
    with replacing_folder(target) as folder:
        try:
            packed = pack(
                raw.clips(progress),
                folder,
                layout=raw.layout,
                statistics=raw.statistics(),
                actions=raw.actions,
            )
        except DataError as error:
            raise DataError(f"{error}{_counts(raw)}") from error
        report = IngestReport(packed, tuple(raw.skipped), dict(raw.converted), notes)
        write_json(folder / "ingest.json", as_record(report, dataset))
    return report


def _opened(
    dataset: Dataset, source: Path, *, fps: float | None, min_frames: int, max_frames: int, on_bad: OnBad
) -> RawFolder | ClipStream:
    """Open a raw folder with the dataset's own reader, or as one in HumanML3D's layout."""
    rate = fps or dataset.fps
    if dataset.reader is None:
        assert dataset.finder is not None, f"{dataset.name} has neither reader nor finder"
        found = replace(found_at(dataset.finder)(source), fps=rate)
        return RawFolder(found, min_frames=min_frames, max_frames=max_frames, on_bad=on_bad)
    return ClipStream(
        found_at(dataset.reader)(source, rate),
        folder=source,
        layout=layout_of(dataset.width),
        min_frames=min_frames,
        max_frames=max_frames,
        on_bad=on_bad,
    )


def as_record(report: IngestReport, dataset: str) -> dict[str, object]:
    """Return the content of ingest.json."""
    return {
        **asdict(report.packed),
        "dataset": dataset,
        "reasons": Counter(entry.reason for entry in report.skipped),
        "skipped": [asdict(entry) for entry in report.skipped],
        "converted": report.converted,
        **({"notes": list(report.notes)} if report.notes else {}),
    }


def _counts(raw: RawFolder | ClipStream) -> str:
    """Summarise skipped ids for the error raised when no clip remains."""
    reasons = Counter(entry.reason for entry in raw.skipped)
    if raw.on_bad == "error" or not reasons:
        return ""
    return "; skipped: " + ", ".join(f"{count} {reason}" for reason, count in reasons.items())


IDS_SHOWN = 3
"""Ids printed per reason."""


def print_report(report: IngestReport) -> None:
    """Print how much was packed, and the number and first ids skipped for each reason."""
    splits = ", ".join(f"{name} {count}" for name, count in report.packed.splits.items())
    lines = [f"{report.packed.clips} clips ({splits}), {report.packed.captions} captions"]
    skipped: dict[str, list[str]] = {}
    for entry in report.skipped:
        skipped.setdefault(entry.reason, []).append(entry.id)
    for what, groups in (("skipped", skipped), ("converted from", report.converted)):
        for name, ids in sorted(groups.items()):
            shown = ", ".join(ids[:IDS_SHOWN]) + (", …" if len(ids) > IDS_SHOWN else "")
            lines.append(f"  {what} {name}: {len(ids)} ({shown})")
    lines += [f"  {note}" for note in report.notes]
    if skipped or report.converted:
        lines.append(f"  all of them: {paths.CLIPS / 'ingest.json'}")
    sys.stdout.write("\n".join(lines) + "\n")
