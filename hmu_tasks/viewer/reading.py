"""What the report shows, read from what the other steps wrote."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from hmu_tasks.data.clips.arrays import read_npz
from hmu_tasks.evaluation.record_files import read_records
from hmu_tasks.evaluation.selected import selected_strength
from hmu_tasks.methods import method_of
from hmu_tasks.metrics.comparisons import with_comparisons
from hmu_tasks.metrics.headline import of_records
from hmu_tasks.metrics.records import DATA_ROWS, ENDS, Record
from hmu_tasks.reviews.answers import read_answers
from hmu_tasks.reviews.summary import HumanJudgement, judge
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import expecting, read_object, read_objects
from hmu_tasks.runtime.tables import read_parquet
from hmu_tasks.viewer.costs import CostRow, cost_of
from hmu_tasks.viewer.inputs import MotionSample, ReportInputs
from hmu_tasks.viewer.one_training import OneTraining
from hmu_tasks.viewer.ranking import rank
from hmu_tasks.viewer.table import ProbeRecord, Selection
from hmu_tasks.viewer.trainings import Summary, recorded, summarise

SECOND = "_second"  # ends the name of a number of the second classifier

if TYPE_CHECKING:
    from hmu_tasks.config.params import Params


def read_inputs(params: "Params") -> ReportInputs:
    """Read the outputs of the other steps; sections of steps that were not run are left out."""
    with paths.of_training(params.run.trainings[0]):
        return _read(params)


def _read(params: "Params") -> ReportInputs:
    """Read what the training that is worked on led to, and what all of them gave."""
    records = _records(params)
    selection, *others = _ordered(records, _selections(records, params))
    usage = paths.codebook() / "usage.parquet"
    # The codebook's plots mark the codes that a method replaces, whichever method leads.
    replacing_codes = [name for name in params.run.methods if method_of(name).replaces_codes]
    replaced = next((one for one in (selection, *others) if one.method in replacing_codes), selection)
    edited = next(iter(_edits_of(replaced)), {}).get("replaced", {})
    return ReportInputs(
        dataset=params.run.dataset,
        concept=params.run.concept,
        records=records,
        selection=selection,
        samples=_samples(params),
        usage=read_parquet(usage).to_pandas() if usage.exists() else None,
        score=_score(params, replacing_codes),
        edited={int(layer): codes for layer, codes in edited.items()},
        histories=_histories(),
        filtering=_optional(paths.SPLIT / "filter.json"),
        validation=_optional(paths.VALIDATION),
        params=params.model_dump(mode="json", by_alias=True),
        digests=_digests(records),
        others=others,
        probes=_probes(params),
        costs=_costs([selection, *others]),
        headlines=_headlines(params, records),
        trainings=_trainings(params),
        decisions=_decisions(params),
        judgements=_judgements(records, [selection, *others]),
    )


def _records(params: "Params") -> list[Record]:
    """Records of all cells of a training, with what follows from their comparison; DataError where there are none."""
    found: list[Record] = [
        row
        for path in _written(params, paths.evaluation, "metrics.json")
        for row in read_records(path.parent)
    ]
    if not found:
        raise DataError(
            f"{paths.EVALUATE} holds no metrics.json of run.models, run.methods and training {paths.training()}; run "
            "`dvc repro` so that models are evaluated first"
        )
    return with_comparisons(found)


def _probes(params: "Params") -> list[ProbeRecord]:
    found: list[Any] = []
    for path in _written(params, paths.probing, "probe.json"):
        found += read_objects(path, "attack", "family", "mean")
    return found


def _histories() -> dict[str, pd.DataFrame]:
    """Curves of the components of the training that is worked on, and of those that all trainings share."""
    folders = [*(paths.TRAIN / name for name in paths.SHARED), *(paths.component("text").parent).glob("*")]
    places = {folder.name: folder / "history.csv" for folder in folders}
    return {name: pd.read_csv(places[name]) for name in sorted(places) if places[name].is_file()}


def _trainings(params: "Params") -> dict[str, Summary]:
    """What several trainings gave, by model: those of this run, or of one training the recorded ones."""
    if len(params.run.trainings) == 1:
        return recorded(params.model_dump(mode="json", by_alias=True))
    found = []
    for number in params.run.trainings:
        with paths.of_training(number):
            records = _records(params)
            if all(record["method"] in DATA_ROWS for record in records):
                raise DataError(
                    f"{paths.EVALUATE} holds nothing of training {number}, which run.trainings names; run `dvc repro`"
                )
            found.append(OneTraining(number, records, _selections(records, params), _probes(params)))
    return {model: summarise(found, model) for model in params.run.models}


def _score(params: "Params", methods: Sequence[str]) -> str:
    """Column of usage.parquet by which the first of the `methods` that replace codes ranks them."""
    ranked = (method_of(name).ranks_by for name in methods)
    return next((by(params.unlearn[name]) for name, by in zip(methods, ranked, strict=True) if by), "ratio")


def _selections(records: Sequence[Record], params: "Params") -> list[Selection]:
    """What was selected for each model and method that was measured, in the order of params.yaml.

    A method with one strength has nothing to select. Where no method was measured, the original stands alone.
    """
    limit = params.report.retain_loss_limit
    strengths: dict[tuple[str, str], set[int | None]] = {}
    for record in records:
        strengths.setdefault((record["model"], record["method"]), set()).add(record["strength"])
    chosen = []
    for model, method in ((model, method) for model in params.run.models for method in params.run.methods):
        if (model, method) in strengths:
            found = selected_strength(model, method, strengths=strengths[model, method] != {None})
            chosen.append(
                Selection(
                    method,
                    found.strength,
                    found.reason,
                    model=model,
                    met=found.eligible,
                    limit=limit,
                    end=found.end,
                )
            )
    return chosen or [
        Selection("original", None, "no method was applied", model=params.run.models[0], limit=limit)
    ]


def _ordered(records: Sequence[Record], selections: Sequence[Selection]) -> list[Selection]:
    """Order the selections by model and, within one, by the ranking, so that each model's best method leads."""
    ordered: list[Selection] = []
    for model in dict.fromkeys(one.model for one in selections):
        mine = [one for one in selections if one.model == model]
        ordered += [one.selection for one in rank(records, mine, model=model).methods] or mine
    return ordered


def _samples(params: "Params") -> list[MotionSample]:
    found = []
    for path in _written(params, paths.evaluation, "samples.json"):
        archive = path.with_suffix(".npz")
        if not archive.exists():
            raise DataError(f"{archive} is missing beside {path.name}; run the evaluate step again")
        model, method = path.parts[-3:-1]
        motions, labels = read_npz(archive), read_objects(path, "split", "prompt", "clip_id", "key", "fps")
        with expecting(path):
            for label in labels:
                strength = label.get("strength")
                found.append(
                    MotionSample(
                        method,
                        strength,
                        str(label["split"]),
                        str(label["prompt"]),
                        str(label["clip_id"]),
                        motions[label["key"]],
                        fps=label["fps"],
                        model="" if model == "real" else model,
                        flagged=label.get("flagged", {}),
                        disputed=label.get("disputed", False),
                    )
                )
    return found


def _edits_of(selection: Selection) -> list[Mapping[str, Any]]:
    """edit.json of each edit of the selected strength, one per edit seed."""
    found = [
        read_object(path)
        for path in sorted(paths.edits(selection.model, selection.method).glob("*/edit.json"))
    ]
    return [edit for edit in found if edit.get("strength") == selection.strength]


def _costs(selections: Sequence[Selection]) -> list[CostRow]:
    """Costs of D_r and of each selected edit; edits of one strength differ by their seed only, the first counts."""
    found = []
    for model in dict.fromkeys(one.model for one in selections):
        retrain = Selection("retrain", None, "", model=model)
        for one in (retrain, *(one for one in selections if one.model == model)):
            found += [cost_of(model, one.method, edit) for edit in _edits_of(one)[:1]]
    return found


def _headlines(params: "Params", records: Sequence[Record]) -> dict[tuple[str, str], dict[str, float]]:
    """Headline metrics of each cell, of its evaluation and its probes; skipped cells are left out.

    Those of the evaluation are computed again, for D_r's own step does not know the original's floor.
    """
    found: dict[tuple[str, str], dict[str, float]] = {}
    for model, method in dict.fromkeys((row["model"], row["method"]) for row in records):
        numbers = of_records([row for row in records if (row["model"], row["method"]) == (model, method)])
        if model != "real" and numbers:
            found[model, method] = numbers
    for path in _written(params, paths.probing, "headline.json"):
        model, method = path.parts[-3:-1]
        if numbers := read_object(path):
            found.setdefault((model, method), {}).update(numbers)
    return {cell: _worse(numbers) for cell, numbers in found.items()}


def _worse(numbers: Mapping[str, float]) -> dict[str, float]:
    """Keep one number of each quantity, at most 15 a cell.

    Of the two classifiers the one that flags more stands; NCS@1 only where there is none, the rate without an
    attack not beside that of all forget prompts, and that of retain prompts not beside its excess.
    """
    found = {name: value for name, value in numbers.items() if not name.endswith(SECOND)}
    for name in found:
        found[name] = max(found[name], numbers.get(name + SECOND, found[name]))
    beside = {"forget_ncs1", "no_attack"} if "forget_flagged" in found else set()
    beside |= {"retain_flagged"} if "induced" in found else set()
    return {name: value for name, value in found.items() if name not in beside}


def _decisions(params: "Params") -> dict[tuple[str, str], Mapping[str, Any]]:
    """What the gate decided on each method; DataError where another release wrote it."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for path in _written(params, paths.registration, "decision.json"):
        model, method = path.parts[-3:-1]
        found[model, method] = read_object(path)
        if "statement" not in found[model, method]:
            raise DataError(
                f"{path} was written by another release; run `dvc repro` so that the gate decides again"
            )
    return found


def _judgements(
    records: Sequence[Record], selections: Sequence[Selection]
) -> dict[tuple[str, str], HumanJudgement]:
    """What people say of the selected edits; answers on other bundles are left out."""
    answers = read_answers(paths.REVIEWS)
    found = {}
    for one in selections:
        wanted = {"edited": (one.method, one.strength), **{end: (end, None) for end in ENDS}}
        bundles = {
            role: str(row["bundle"])
            for role, place in wanted.items()
            for row in reversed(records)
            if (row["model"], row["method"], row["strength"]) == (one.model, *place) and row.get("bundle")
        }
        judged = judge(answers, bundles)
        if judged is not None:
            found[one.model, one.method] = judged
    return found


def _written(params: "Params", place: Callable[[str, str], Path], name: str) -> list[Path]:
    """The files of a name in the folders of what is run: cells of an earlier matrix may lie beside them."""
    run = params.run
    cells = [(model, method) for model in run.models for method in (*ENDS, *run.methods)]
    places = [place(model, method) / name for model, method in (("real", "real"), *cells)]
    return sorted(path for path in places if path.exists())


def _digests(records: Sequence[Record]) -> dict[str, str]:
    named = {f"{r['model']}/{r['method']}/{r['edit']}": r["bundle"] for r in records if r.get("bundle")}
    return dict(itertools.islice(sorted(named.items()), 64))


def _optional(path: Path) -> Mapping[str, Any] | None:
    return read_object(path) if path.exists() else None
