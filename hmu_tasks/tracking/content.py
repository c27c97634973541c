"""What MLflow gets of a finished stage: name, parameters, tags, metrics, curves and artifacts, read from its output."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hmu_tasks.config.params import flat
from hmu_tasks.metrics import ROLES, metrics
from hmu_tasks.metrics.comparisons import CLASSIFIERS
from hmu_tasks.runtime.files import read_object, read_objects

STEPS = ("ingest", "filter", "validate", "train", "codebook", "unlearn", "evaluate", "probe")
"""Steps whose outputs are mirrored; the report has a page of its own, and `register` writes to MLflow itself."""


@dataclass(frozen=True)
class Finished:
    """A stage whose output dvc.lock vouches for.

    name: in dvc.yaml, with the matrix cell, such as `train-tokenizer@full-0`
    step, arguments: its command, without options
    output: file or folder, relative to the project; digest: as in dvc.lock
    knobs: parameters that it ran with, by dotted keys
    training: number of the training of the models; None for what all share
    """

    name: str
    step: str
    arguments: tuple[str, ...]
    output: Path
    digest: str
    knobs: Mapping[str, Any]
    training: int | None = None


@dataclass(frozen=True)
class Content:
    """What a run shows.

    metrics: final values; points: curves as (name, step, value)
    artifacts: files, each with the folder to put it in; sources: files that were read beside these
    """

    name: str
    params: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    points: list[tuple[str, int, float]] = field(default_factory=list)
    artifacts: list[tuple[Path, str | None]] = field(default_factory=list)
    sources: list[Path] = field(default_factory=list)

    @property
    def files(self) -> list[Path]:
        """Everything that was read."""
        return [*(path for path, _ in self.artifacts), *self.sources]


def content_of(one: Finished) -> Content:
    """Read the content of a finished stage; FileNotFoundError where a part of it is not here."""
    found = {
        "train": _training,
        "unlearn": _unlearning,
        "evaluate": _evaluation,
        "probe": _probing,
    }.get(one.step, _data)(one)
    if one.training is None:
        return found
    name = f"{found.name}, training {one.training}" if one.training else found.name
    return replace(found, name=name, tags={**found.tags, "training": str(one.training)})


# Headline metrics by which pipeline runs are compared; their parent run has them for every method.
COMPARED = (
    "gap_closed",
    "gap_closed_fid",
    "forget_flagged",
    "forget_flagged_second",
    "retain_r1",
    "retain_fid",
    "induced",
    "worst_attack",
)
BESIDE, BESIDE_SPLITS = ("fid", "violence"), ("forget", "retain")  # of what stands beside real motions
MAIN_TABLES = ("violence", "violence-second", "forget", "retain", "quality")


def _data(one: Finished) -> Content:
    """Data steps and the codebook: the counts of their JSON file."""
    file = one.output if one.output.is_file() else one.output / f"{one.step}.json"
    counts = {
        name: float(value)
        for name, value in flat(read_object(file)).items()
        if isinstance(value, int | float) and name.count(".") <= 2  # counts of single words stay in the file
    }
    of_what = one.knobs.get("run.concept" if one.step == "filter" else "run.dataset", one.step)
    return Content(str(of_what), _params(one, one.step), _identity(one), counts, artifacts=[(file, None)])


def _training(one: Finished) -> Content:
    component, variant = one.arguments[0], (*one.arguments, "all")[1]
    sections = ["train.pretrained"] if one.knobs.get("train.mode") == "pretrained" else []
    sections += [f"train.{component.replace('-', '.')}", "train"]
    params = {
        name: value
        for name, value in _params(one, *sections).items()
        # What tells where official checkpoints lie is read in that mode only.
        if sections[0] == "train.pretrained" or not name.startswith("pretrained.")
    }
    with (one.output / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            (row["name"], int(row["step"]), float(row["value"]))
            for row in csv.DictReader(file)
            if row["value"]  # empty for NaN
        ]
    return Content(
        one.output.name,
        params,
        {"component": component, "variant": variant},
        {name: value for name, _, value in rows},
        [(f"train/{name}", step, value) for name, step, value in rows],
        _present(one.output / "config.json", one.output / "source.json"),
        [one.output / "history.csv"],
    )


def _unlearning(one: Finished) -> Content:
    model, method = one.arguments
    edits = sorted(one.output.glob("*/edit.json"))
    if not edits:
        raise FileNotFoundError(one.output / "*" / "edit.json")
    return Content(
        f"{method} {model}",
        _params(one, f"unlearn.{method}"),
        _identity(one),
        {"edits": len(edits)},
        artifacts=[(edit, edit.parent.name) for edit in edits],
    )


def _evaluation(one: Finished) -> Content:
    """One value per split and metric, the mean over edits, as a curve over the strength where there is one.

    Only what the report's main tables show; metrics.json has everything. Rows of the data, such as reconstructions,
    stand beside the real motions under names of their own.
    """
    method = one.arguments[-1]
    shown = _shown()
    values: dict[tuple[str, int], list[float]] = {}
    for row in read_objects(one.output / "metrics.json", "split", "metric", "mean"):
        if (row["split"], row["metric"]) not in shown:
            continue
        own = row.get("method", method) == method
        if not own and (row["split"] not in BESIDE_SPLITS or row["metric"] not in BESIDE):
            continue
        name = f"{row['split']}/{row['metric']}" if own else f"{row['method']}/{row['split']} {row['metric']}"
        values.setdefault((name, int(row.get("strength") or 0)), []).append(row["mean"])
    return Content(
        " ".join(reversed(one.arguments)),
        _params(one, "evaluate"),
        _identity(one),
        _headline(one),
        [(name, strength, _mean(found)) for (name, strength), found in sorted(values.items())],
        _present(*(one.output / name for name in ("metrics.json", "selection.json", "headline.json"))),
    )


def _shown() -> set[tuple[str, str]]:
    """Splits and metrics of the main tables, what strengths are selected by, and the flagged rates elsewhere."""
    rates = [names.rate for names in CLASSIFIERS]
    found = {(c.split, key) for key, one in metrics().items() for c in one.columns if c.table in MAIN_TABLES}
    found |= {(f"{split}-val", key) for split in ("forget", "retain") for key in (*rates, "fid", "r1")}
    return found | {(split, key) for split in ROLES if not split.endswith("-val") for key in rates}


def _probing(one: Finished) -> Content:
    """One success rate per attack, the mean over edits."""
    values: dict[str, list[float]] = {}
    for row in read_objects(one.output / "probe.json", "family", "attack", "mean"):
        values.setdefault(f"{row['family']}/{row['attack']}", []).append(row["mean"])
    return Content(
        " ".join(reversed(one.arguments)),
        _params(one, "probe"),
        _identity(one),
        {name: _mean(found) for name, found in sorted(values.items())} | _headline(one),
        artifacts=_present(one.output / "probe.json", one.output / "headline.json"),
    )


def _headline(one: Finished) -> dict[str, float]:
    """The few numbers that `dvc metrics show` lists."""
    file = one.output / "headline.json"
    return {f"headline/{name}": value for name, value in read_object(file).items()} if file.exists() else {}


def _params(one: Finished, *sections: str) -> dict[str, Any]:
    """Name the knobs that a stage ran with: its own sections' and those of `run` without a prefix, others in full."""
    found: dict[str, Any] = {}
    knobs = flat(dict(one.knobs))
    for key in sorted(knobs, key=lambda key: not key.startswith("run.")):  # the seed is the run's
        prefix = next((one for one in ("run", *sections) if key.startswith(f"{one}.")), None)
        name = key if prefix is None or key in ("run.dataset", "run.concept") else key[len(prefix) + 1 :]
        found[key if name in found else name] = knobs[key]
    return found


def _identity(one: Finished) -> dict[str, str]:
    """Dataset, concept, model and method, as far as the stage has them."""
    tags = {
        name: str(one.knobs[f"run.{name}"]) for name in ("dataset", "concept") if f"run.{name}" in one.knobs
    }
    return tags | dict(zip(("model", "method"), one.arguments, strict=False))


def _present(*files: Path) -> list[tuple[Path, str | None]]:
    return [(file, None) for file in files if file.exists()]


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)
