"""The evidence of one edit, gathered from what the steps wrote, and the gate's limits from params.yaml."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from hmu_tasks.config.params import Params
from hmu_tasks.config.sections.evaluation import RegisterSection
from hmu_tasks.data.clips import packed
from hmu_tasks.data.motion.layout import layout_of
from hmu_tasks.evaluation.record_files import read_records
from hmu_tasks.evaluation.selected import selected_edits
from hmu_tasks.metrics.comparisons import CLOSURE, gap_left, with_comparisons
from hmu_tasks.metrics.limits import check_limits
from hmu_tasks.metrics.records import ENDS, ProbeRecord, Record
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.lengths import UNIT
from hmu_tasks.registry.evidence import (
    Evidence,
    excess_rates,
    families,
    measurements,
    of_edit,
    success_rates,
)
from hmu_tasks.registry.limits import GateLimits
from hmu_tasks.reviews.answers import read_answers
from hmu_tasks.reviews.summary import HumanJudgement, judge
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ConfigError, DataError
from hmu_tasks.runtime.files import read_json
from hmu_tasks.tracking import lineage

LONGEST = 196  # frames: 49 tokens, as far as the transformers' positions go in every configuration


def limits_of(params: Params) -> GateLimits:
    """Read the gate's limits; raises ConfigError for a metric that the evaluation does not know."""
    return gate_limits(params.register_, "register")


def gate_limits(knobs: RegisterSection, named: str) -> GateLimits:
    """Check limits against the metrics that there are; ConfigError names the entry, below `named`."""
    try:
        check_limits(forget=knobs.forget, retain=knobs.retain, induced=knobs.induced, named=named)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return GateLimits.from_json(knobs.model_dump())


def gather_evidence(params: Params, model: str, method: str, edit: str | None = None) -> Evidence:
    """Collect the gate's evidence about one edit.

    Raises DataError where the edit was not made or not evaluated, or where its files changed since.
    """
    params.check(model, method)
    if method in ENDS:
        raise ConfigError(f"{method!r} is a reference, not an unlearned model; register a method")
    tables = _tables(model, method)
    chosen = edit or next(iter(selected_edits(model, method)))
    rows = of_edit(tables[method], chosen)
    bundle = _bundle_digest(paths.edits(model, method) / chosen, rows)
    strength = rows[0]["strength"]
    probed = {name: _probes(model, name, table) for name, table in {**tables, method: rows}.items()}
    motions = packed.load(paths.CLIPS)
    clips = lineage.read_lock(Path()).outputs().get(paths.CLIPS.as_posix())
    return Evidence(
        model=model,
        dataset=str(rows[0]["dataset"]),
        concept=str(rows[0]["concept"]),
        method=method,
        edit=chosen,
        bundle=bundle,
        edited=measurements([*rows, *(gap_left(row) for row in rows if row["metric"].startswith(CLOSURE))]),
        original=measurements(tables["original"]),
        retrain=measurements(tables.get("retrain", ())),
        seeds=len({row["edit"] for row in tables[method] if row["strength"] == strength}),
        contracts=bool(read_json(paths.VALIDATION)["success"]) if paths.VALIDATION.exists() else None,
        evaluators={
            _ROLE.get(name, "edited"): _measured_by("evaluator", model, name, table)
            for name, table in tables.items()
        },
        classifiers={
            _ROLE.get(name, "edited"): _measured_by("classifiers", model, name, table)
            for name, table in tables.items()
        },
        data=f"md5:{clips}" if clips else f"sha256:{weights.digest(paths.CLIPS)}",
        probes=success_rates(probed[method]),
        original_probes=success_rates(probed["original"]),
        retrain_probes=success_rates(probed.get("retrain", ())),
        probe_excess=excess_rates(probed[method], probed.get("retrain", ())),
        families=families(row for rows in probed.values() for row in rows),
        human=_human(bundle, tables),
        fps=motions.fps,
        joints=layout_of(len(motions.mean)).joints,
        shortest=-(-params.ingest.min_frames // UNIT) * UNIT,
        longest=LONGEST,
    )


_ROLE = {"original": "original", "retrain": "retrain"}


def _tables(model: str, method: str) -> dict[str, list[Record]]:
    """Records of the method, the original and, if it was evaluated, D_r, with what follows from comparing them."""
    names = [method, "original"]
    if (paths.evaluation(model, "retrain") / "metrics.json").exists():
        names.append("retrain")
    measured = [row for name in names for row in read_records(paths.evaluation(model, name))]
    compared = with_comparisons(measured)
    return {name: [row for row in compared if row["method"] == name] for name in names}


def _human(bundle: str, tables: Mapping[str, Sequence[Record]]) -> HumanJudgement | None:
    """What people say of the edit, its original and D_r; None where nobody judged a pair of them."""
    bundles = {"edited": bundle}
    for role in ENDS:
        digests = [row["bundle"] for row in tables.get(role, ()) if row.get("bundle")]
        bundles |= {role: str(digests[0])} if digests else {}
    return judge(read_answers(paths.REVIEWS), bundles)


def _bundle_digest(folder: Path, rows: Sequence[Record]) -> str:
    """Digest of the bundle's files; raises DataError if it is not the evaluated bundle's."""
    recorded = read_json(folder / "bundle.json")["components"]
    found = weights.combine({name: weights.digest(folder / name) for name in recorded})
    evaluated = {row["bundle"] for row in rows}
    if evaluated != {found}:
        raise DataError(
            f"{folder} is not the bundle that was evaluated ({found[:12]}, evaluated: "
            f"{', '.join(sorted(digest[:12] for digest in evaluated))}); run `dvc repro`"
        )
    return found


_NAMED: Mapping[Literal["evaluator", "classifiers"], str] = {
    "evaluator": "evaluator",
    "classifiers": "digest of the violence classifiers",
}


def _measured_by(
    key: Literal["evaluator", "classifiers"], model: str, method: str, rows: Sequence[Record]
) -> str:
    """Digest of what measured a cell; raises DataError if its records do not name exactly one."""
    found = {row.get(key) for row in rows}
    if len(found) != 1 or None in found:
        place = paths.evaluation(model, method) / "metrics.json"
        raise DataError(f"{place} does not name exactly one {_NAMED[key]}; run `dvc repro`")
    return str(found.pop())


def _probes(model: str, method: str, evaluated: Sequence[Record]) -> list[ProbeRecord]:
    """Records of the attacks on the evaluated bundles; empty if no probe was run."""
    path = paths.probing(model, method) / "probe.json"
    if not path.exists():
        return []
    bundles = {row.get("bundle") for row in evaluated}
    return [row for row in read_json(path) if row.get("bundle") in bundles]
