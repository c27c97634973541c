"""The mirror: writes one MLflow run per finished stage, below one parent per pipeline run, from files alone.

The key of a run is its stage with the digest of its output in dvc.lock (tags `hmu.stage`, `hmu.output`), so that
nothing is written twice, however often the mirror runs and wherever the output came from. `runs/side/mirrored.json`
lists what the store has already; without news MLflow is not even imported.
"""

import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hmu_tasks.runtime import paths
from hmu_tasks.runtime.files import expecting, read_object, read_objects, write_json
from hmu_tasks.tracking import lineage
from hmu_tasks.tracking.locations import sqlite_file
from hmu_tasks.tracking.steps import FINGERPRINT_TAG, StepRecord, fingerprint, read_records
from hmu_tasks.tracking.store import store_lock, tracking_uri, without_password

if TYPE_CHECKING:
    from hmu_tasks.tracking.content import Content, Finished
    from hmu_tasks.tracking.runs import Store

ROOT = Path()
CACHE = Path(".dvc", "cache", "files", "md5")
"""DVC's cache, as far as it is in its usual place: there an output's files are compared with what was cached."""
OUTPUT_TAG = "hmu.output"
"""Tag: digest of a stage's output, as in dvc.lock."""


@dataclass
class Mirrored:
    """What a store has already.

    lock: digest of a dvc.lock of which every stage is mirrored
    outputs: stage -> digests of its outputs
    attempts: attempts of stages that were dealt with, as `<stage> <start>`
    """

    store: str
    lock: str = ""
    outputs: dict[str, list[str]] = field(default_factory=dict)
    attempts: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, store: str) -> "Mirrored":
        """Read it, empty where another store is meant or a local one is gone."""
        file = sqlite_file(store)
        gone = file is not None and not file.exists()
        if gone or not paths.MIRRORED.exists():
            return cls(without_password(store))
        with expecting(paths.MIRRORED):
            found = cls(**read_object(paths.MIRRORED, "store"))
        return found if found.store == without_password(store) else cls(without_password(store))

    def write(self) -> None:
        """Write it."""
        write_json(paths.MIRRORED, vars(self))

    def has(self, one: "Finished") -> bool:
        """Say whether a stage's output is in the store."""
        return one.digest in self.outputs.get(one.name, [])


@dataclass(frozen=True)
class Outcome:
    """What a mirror did.

    written: runs that were written or completed
    skipped: finished stages of dvc.lock whose output is not here, as in a fresh clone, or was changed since
    """

    written: int = 0
    skipped: int = 0


def run() -> Outcome:
    """Write what is new to MLflow; HmuError where the store cannot be reached."""
    mirrored, lock = Mirrored.read(tracking_uri(ROOT)), _lock_digest()
    if lock == mirrored.lock and not _open_attempts(mirrored):
        return Outcome()
    from hmu_tasks.config import params

    if not params.load().run.track:
        return Outcome()
    with store_lock(tracking_uri(ROOT), ROOT, "mirror"):
        return _write_news(Mirrored.read(tracking_uri(ROOT)), lock)


def _open_attempts(mirrored: Mirrored) -> list[StepRecord]:
    """Attempts that have ended and were not dealt with yet."""
    records = [record.settled() for record in read_records()]
    return [one for one in records if one.status != "RUNNING" and _attempt(one) not in mirrored.attempts]


def _write_news(mirrored: Mirrored, lock_digest: str) -> Outcome:
    """Write new outputs and failed attempts, the oldest first; called by one process at a time."""
    lock = lineage.read_lock(ROOT)
    attempts = {record.stage: record for record in _open_attempts(mirrored)}
    good = {stage: record for stage, record in attempts.items() if record.status == "FINISHED"}
    new = [one for one in finished_stages(lock) if not mirrored.has(one)]
    found = [News(one, content, good.get(one.name)) for one in new if (content := _readable(one)) is not None]
    failures = [record for record in attempts.values() if record.status != "FINISHED"]
    written = 0
    if found or failures:
        from hmu_tasks.tracking.runs import Store

        store = Store(ROOT)
        pipeline = lineage.given_pipeline() or f"lock-{lock_digest[:12]}"
        for one in sorted(found, key=lambda news: news.times):
            written += _write_output(store, lock, pipeline, one)
            mirrored.outputs.setdefault(one.stage.name, []).append(one.stage.digest)
            mirrored.write()  # what was written before an interruption is not asked for again
        for record in failures:
            written += _write_failure(store, record)
    mirrored.attempts = _dealt_with(mirrored, attempts.values())
    mirrored.lock = lock_digest if len(found) == len(new) else ""
    mirrored.write()
    return Outcome(written, skipped=len(new) - len(found))


def _dealt_with(mirrored: Mirrored, attempts: Iterable[StepRecord]) -> list[str]:
    """Attempts that need no further look; a stage that has just finished may not stand in dvc.lock yet."""
    lock = ROOT / "dvc.lock"
    written = lock.stat().st_mtime if lock.exists() else 0.0
    kept = {_attempt(record) for record in read_records()} & {*mirrored.attempts}
    return sorted(
        kept | {_attempt(one) for one in attempts if one.status != "FINISHED" or (one.end or 0.0) <= written}
    )


def finished_stages(lock: lineage.Lock) -> "Iterator[Finished]":
    """Return the stages of dvc.lock whose outputs are mirrored."""
    from hmu_tasks.tracking.content import STEPS, Finished

    for name, entry in lock.stages.items():
        _, *module, step, arguments = [*str(entry["cmd"]).split(maxsplit=4), "", "", "", "", ""][:5]
        outs = [out for out in entry.get("outs", []) if "md5" in out]
        if module == ["-m", "hmu_tasks"] and step in STEPS and outs:
            output, digest = Path(outs[0]["path"]), outs[0]["md5"]
            given, _, training = arguments.partition("--training")
            number = int(training) if training else None
            yield Finished(name, step, tuple(given.split()), output, digest, lock.params(name), number)


def _readable(one: "Finished") -> "Content | None":
    """Read a stage's output; None where it is not here, or is not what dvc.lock vouches for."""
    from hmu_tasks.tracking.content import content_of

    if not one.output.exists():
        return None
    try:
        content = content_of(one)
        return content if all(_is_vouched_for(one, file) for file in content.files) else None
    except FileNotFoundError:
        return None
    except (LookupError, ValueError) as error:
        sys.stderr.write(f"warning: MLflow does not get {one.output}, which cannot be read: {error!r}\n")
        return None


def _is_vouched_for(one: "Finished", file: Path) -> bool:
    """Compare a file with what DVC cached; True where that is not known."""
    digest: str | None = one.digest
    if one.output.is_dir():
        listing = CACHE / one.digest[:2] / one.digest[2:]
        if not listing.exists():
            return True
        known = {item["relpath"]: item["md5"] for item in read_objects(listing, "relpath", "md5")}
        digest = known.get(file.relative_to(one.output).as_posix())
    return digest == hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class News:
    """A stage's output that the store does not have, and the attempt that made it where that is known."""

    stage: "Finished"
    content: "Content"
    record: StepRecord | None

    @property
    def times(self) -> tuple[float, float]:
        """Start and end; without a record the age of the output."""
        made = self.stage.output.stat().st_mtime
        return (self.record.start, self.record.end or made) if self.record else (made, made)


def _write_output(store: "Store", lock: lineage.Lock, pipeline: str, news: News) -> int:
    """Write the run of an output, or complete the one that a live training left; 0 where the store has it."""
    from hmu_tasks.config.params import flat
    from hmu_tasks.tracking.content import COMPARED
    from hmu_tasks.tracking.runs import DATA_FOLDER, DATA_TAG, Opening

    one, content, record = news.stage, news.content, news.record
    key = {"hmu.stage": one.name, OUTPUT_TAG: one.digest}
    if store.find(key) is not None:
        return 0
    start, end = news.times
    inputs = lock.inputs(one.name)
    data = inputs.get(DATA_FOLDER) or lock.outputs().get(DATA_FOLDER)
    opening = Opening(
        pipeline=record.pipeline if record else pipeline,
        step=one.step,
        name=content.name,
        params=content.params,
        origin=(record.tags if record else lineage.origin(ROOT)) | ({DATA_TAG: data} if data else {}),
        tags={"hmu.stage": one.name, **content.tags}
        | {f"hmu.input.{path}": md5 for path, md5 in inputs.items()},
        start=start,
    )
    live = store.find({FINGERPRINT_TAG: fingerprint(one.output)}) if one.step == "train" else None
    if live is None or OUTPUT_TAG in live.tags:
        run, seen = store.open_run(opening), {}
    else:
        run = live
        run.complete(opening)
        seen = {name: run.steps_of(name) for name in {name for name, _, _ in content.points}}
    run.points([point for point in content.points if point[1] not in seen.get(point[0], ())])
    run.metrics({**content.metrics, **(record.metrics if record else {})})
    for path, folder in content.artifacts:
        run.artifact(path, folder)
    label = " ".join(reversed(one.arguments))
    compared = {
        f"{name}/{label}": value
        for name in COMPARED
        if (value := content.metrics.get(f"headline/{name}")) is not None
    }
    run.to_parent(flat(dict(one.knobs)), compared)
    run.tag(OUTPUT_TAG, one.digest)  # last: a run without it is not whole, and is written anew
    run.close("FINISHED", end=end)
    return 1


def _write_failure(store: "Store", record: StepRecord) -> int:
    """Write the run of an attempt that failed or was killed, unless a live training left one."""
    from hmu_tasks.tracking.content import STEPS
    from hmu_tasks.tracking.runs import Opening

    step = record.stage.partition("@")[0].partition("-")[0]
    key = {"hmu.stage": record.stage, "hmu.process": record.process}
    if step not in STEPS or store.find(key) is not None:
        return 0
    tags = {"hmu.stage": record.stage}
    run = store.open_run(Opening(record.pipeline, step, record.stage, {}, record.tags, tags, record.start))
    run.metrics(record.metrics)
    run.close(record.status, record.error, end=record.end)
    return 1


def _attempt(record: StepRecord) -> str:
    return f"{record.stage} {record.start}"


def _lock_digest() -> str:
    lock = ROOT / "dvc.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else ""
