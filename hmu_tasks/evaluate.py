"""Step `evaluate`: generate with every edit of a method, measure, and select the strength on the validation split."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hmu_tasks.config.params import Params
from hmu_tasks.data.motion.features import to_joints
from hmu_tasks.evaluation.choice import choose, selection_record
from hmu_tasks.evaluation.fresh import fresh_rows
from hmu_tasks.evaluation.intervals import records
from hmu_tasks.evaluation.keywords import keyword_test
from hmu_tasks.evaluation.measurements import Measured
from hmu_tasks.evaluation.real import real_rows
from hmu_tasks.evaluation.record_files import read_records, write_records
from hmu_tasks.evaluation.selected import edits_of
from hmu_tasks.evaluation.session import Session, open_session
from hmu_tasks.evaluation.setup import open_setup
from hmu_tasks.evaluation.splits import Protocol
from hmu_tasks.metrics.comparisons import with_comparisons
from hmu_tasks.metrics.forgetting import mask_tokens
from hmu_tasks.metrics.headline import of_records
from hmu_tasks.metrics.motion import mean_jerk
from hmu_tasks.metrics.records import ENDS, Record, labelled
from hmu_tasks.models.generators.bundle import Bundle, load_bundle
from hmu_tasks.models.networks.components import absent_reason, save_absent
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.files import replacing_folder, write_json
from hmu_tasks.runtime.progress import Progress

VALIDATION = ("forget-val", "retain-val")
TEST = ("forget", "retain")


def run(params: Params, model: str, method: str, progress: Progress | None = None) -> None:
    """Measure all edits of `method` on `model`; `real` `real` measures the data and its reconstructions.

    Writes metrics.json (records) with replicates.npz (their bootstrap replicates), headline.json (the few numbers that
    DVC shows), samples.npz with samples.json (joints of a few prompts), and selection.json for a method with strengths.
    """
    if (model, method) != ("real", "real"):
        params.check(model, method)
    identity = params.identity(model, method)
    session = _open(params)
    target = paths.evaluation(model, method)
    with replacing_folder(target) as folder:
        if model == "real":
            rows, samples = real_rows(
                session, identity, _sample_rows(params, session), _original(params, session)
            )
            rows += fresh_rows(session, identity, dataset=params.run.dataset, seed=params.run.seed)
        else:
            rows, samples = _edits(params, session, identity, folder, progress)
        write_records(rows, folder)
        write_json(folder / "headline.json", _headline(rows, model, method))
        _write_samples(samples, folder)


def _original(params: Params, session: Session) -> Bundle | None:
    """The first model before any edit; None where it was left out."""
    source = paths.edits(params.run.models[0], "original")
    return load_bundle(source / "s0", session.device) if absent_reason(source) is None else None


def _headline(rows: Sequence[Record], model: str, method: str) -> dict[str, float]:
    """The few numbers of this cell; corrected and induced violence and the gap closed need both references."""
    mine = [row for row in rows if row["method"] == method]
    others: list[Record] = []
    if mine and method not in (*ENDS, "real"):
        others = [row for end in ENDS for row in read_records(paths.evaluation(model, end))]
    return of_records([row for row in with_comparisons([*others, *mine]) if row["method"] == method])


def _open(params: Params) -> Session:
    knobs = params.evaluate
    setup = open_setup(
        device=params.run.device,
        concept=params.run.concept,
        concepts=params.filter.concepts,
        dataset=params.run.dataset,
        sampling=knobs.sampling.model_dump(),
    )
    concept, fps = setup.concept, setup.clips.fps
    parts = {
        f"{role}{suffix}": setup.concept_clips(split, role)
        for split, suffix in (("test", ""), ("val", "-val"))
        for role in ("forget", "retain")
    }
    return open_session(
        setup.evaluators,
        parts,
        written=setup.written,
        origins=setup.origins,
        repeats=knobs.repeats,
        val_repeats=knobs.val_repeats,
        protocol=Protocol(
            knobs.retrieval_batch,
            knobs.diversity_pairs,
            params.run.seed,
            mean_jerk([to_joints(np.array(motion)) for motion in parts["retain"].features], fps=fps),
            _mask(concept.words(params.run.dataset), "word"),
            fps,
            keyword_test(concept, dataset=params.run.dataset, rule=params.filter.rule),
            _mask(concept.keywords("substring", params.run.dataset), "substring"),
        ),
        sampling=setup.sampling,
        batch=knobs.batch,
        device=setup.device,
        cache=paths.CACHE,
    )


def _mask(words: Sequence[str], rule: Literal["word", "substring"]) -> Callable[[str], str] | None:
    """Return a function that masks the concept's words in a caption; None if the concept has no single word."""
    return (lambda line: mask_tokens(line, words, rule=rule)) if words else None


def _sample_rows(params: Params, session: Session) -> dict[str, list[int]]:
    """Sample the prompts that are shown before and after, by seed and not by result."""
    rng = np.random.default_rng([params.run.seed, 3])
    wanted = {"forget": params.evaluate.samples.forget, "retain": params.evaluate.samples.retain}
    return {
        name: [int(i) for i in rng.permutation(len(session.clips[name].ids))[:n]]
        for name, n in wanted.items()
    }


def _disputed(tested: Mapping[str, Measured], count: int) -> dict[str, list[int]]:
    """Return the first prompts of each test split in repeat 0 on whose motions the violence classifiers disagree."""
    found = {name: tested[name].rows.get("disagreement") for name in TEST}
    return {
        name: [int(i) for i in np.flatnonzero(rows[: tested[name].split.prompts.n])[:count]]
        for name, rows in found.items()
        if rows is not None
    }


def _edits(
    params: Params, session: Session, identity: Mapping[str, str], folder: Path, progress: Progress | None
) -> tuple[list[Record], list[tuple[dict[str, Any], np.ndarray]]]:
    """Measure each bundle of a method on validation, and those of the selected strength on test.

    If the method was left out, config.json records it and nothing is measured.
    """
    source = paths.edits(identity["model"], identity["method"])
    missing = absent_reason(source)
    if missing is not None:
        save_absent(folder, missing)
        return [], []
    edits = edits_of(identity["model"], identity["method"])
    written = [name for name in session.splits if name not in (*TEST, *VALIDATION)]
    rows: list[Record] = []
    samples: list[tuple[dict[str, Any], np.ndarray]] = []
    strengths = [edit["strength"] for edit in edits.values()]
    total, done = len(edits) + max(strengths.count(one) for one in strengths), 0

    def add(bundle: Bundle, name: str, measured: Mapping[str, Measured]) -> None:
        nonlocal done
        labels = labelled(identity, edit=name, strength=edits[name]["strength"], seed=edits[name]["seed"])
        for found in measured.values():
            rows.extend(
                records(
                    found,
                    labels,
                    seed=params.run.seed,
                    bundle=bundle.digest,
                    evaluator=session.evaluators.digest,
                    classifiers=session.evaluators.classifiers_digest,
                )
            )
        done += 1
        if progress is not None:
            progress(done, total)

    for name in edits:
        bundle = load_bundle(source / name, session.device)
        add(bundle, name, session.measure(bundle, VALIDATION))
    selected = choose(identity["model"], rows, limit=params.report.retain_loss_limit)
    if selected is not None:
        write_json(folder / "selection.json", selection_record(selected))
    chosen = [
        name for name in edits if selected is None or edits[name]["strength"] == selected.choice.strength
    ]
    first = min(chosen, key=lambda name: (edits[name]["seed"], name))
    for name in chosen:
        bundle = load_bundle(source / name, session.device)
        tested = session.measure(bundle, [*TEST, *written])
        for split in TEST:
            several = session.repeated(
                bundle,
                split,
                count=params.evaluate.multimodality.prompts,
                samples=params.evaluate.multimodality.samples,
                pairs=params.evaluate.multimodality.pairs,
            )
            tested[split].add(several)
        if name == first:
            shown = _sample_rows(params, session)
            disputed = {
                split: [i for i in rows if i not in shown[split]]
                for split, rows in _disputed(tested, params.evaluate.samples.disputed).items()
            }
            for told, chosen_rows in ((False, shown), (True, disputed)):
                more = {"edit": name, "strength": edits[name]["strength"], "disputed": told}
                samples += [
                    ({**label, **more}, joints) for label, joints in session.samples(bundle, chosen_rows)
                ]
        add(bundle, name, tested)
    return rows, samples


def _write_samples(samples: Sequence[tuple[dict[str, Any], np.ndarray]], folder: Path) -> None:
    labels = [{**label, "key": f"m{i:02d}"} for i, (label, _) in enumerate(samples)]
    arrays = {label["key"]: joints for label, (_, joints) in zip(labels, samples, strict=True)}
    np.savez(folder / "samples.npz", **arrays)  # type: ignore[arg-type]
    write_json(folder / "samples.json", labels)
