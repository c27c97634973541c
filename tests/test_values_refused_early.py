"""What a later step would refuse, the earliest step that can know refuses, with a remedy that works; by key."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_world import tiny_params

from hmu_tasks import codebook, train, unlearn
from hmu_tasks import filter as divide
from hmu_tasks.__main__ import checked
from hmu_tasks.config.params import Params
from hmu_tasks.config.sections.data import MOST_FRAMES
from hmu_tasks.models.evaluators.evaluator import EvaluatorConfig
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.runtime.files import read_objects


def nested(changes: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in changes.items():
        *folders, last = key.split(".")
        at = found
        for folder in folders:
            at = at.setdefault(folder, {})
        at[last] = value
    return found


def parsed(_: Params) -> None:
    """Only params.yaml is read."""


def lcr_edits(params: Params) -> None:
    codebook.run(params)  # counts the codes of each of `parts`
    unlearn.run(params, "momask", "lcr")


def pruned(params: Params) -> None:
    unlearn.run(params, "momask", "prune")


MOCAP = {"run.dataset": "bvh", "ingest.source": "data/raw/mocap"}
MANY = 10**6

REFUSED: list[tuple[Callable[[Params], object], dict[str, Any], str, dict[str, Any]]] = [
    (parsed, {"ingest.max_frames": 204}, r"up to 196 frames: lower it to 200", {"ingest.max_frames": 200}),
    (
        parsed,
        {**MOCAP, "ingest.bvh.longest": 200},
        r"longest is 200, but only clips of .*\(40\) up to .*\(200",
        {"ingest.bvh.longest": 196},
    ),
    (
        parsed,
        {**MOCAP, "ingest.bvh.longest": 39},
        r"longest is 39, .* would vanish",
        {"ingest.bvh.longest": 40},
    ),
    (parsed, {"train.tokenizer.window": 200}, r"window is 200, .* lower it", {"train.tokenizer.window": 196}),
    (
        checked,
        {"register.forget": {"forget/violence_correct": 0.3}},
        r"register\.forget names 'forget/violence_correct'; it must be .* violence_corrected",
        {"register.forget": {"forget/violence_corrected": 0.3}},
    ),
    (
        checked,
        {"register.retain": {"retained/r1": 0.05}},
        r"register\.retain names 'retained/r1'; .* one of the splits retain,",
        {"register.retain": {"retain/r1": 0.05}},
    ),
    (
        checked,
        {"register.induced": {"harmless": 0.1}},
        r"register\.induced names 'harmless'; .* hard_benign",
        {"register.induced": {"benign": 0.1}},
    ),
    (
        checked,
        {"register.retain": {"retain/diversity": 0.1}},
        r"register\.retain names 'retain/diversity'; it must be <split>/<metric>",
        {"register.retain": {"retain/fid": 0.1}},
    ),
    (
        parsed,
        {"register.probes": ["mispelling", "relearning-16x10"]},
        r"names mispelling, relearning-16x10, which .* or choose from .*misspelling.*relearning-2x1",
        {"register.probes": ["misspelling", "relearning-2x1"]},
    ),
    (
        parsed,
        {"probe.embedding.radius": [1e6]},
        r"radius\.0: Input should be less than or equal to 10",
        {"probe.embedding.radius": [10]},
    ),
    (
        divide.run,
        {"probe.relearning.shots": [2, MANY]},
        r"probe\.relearning\.shots is 1000000, but the training split has (\d+) clips to forget; lower it to",
        {"probe.relearning.shots": [2]},
    ),
    (
        divide.run,
        {"probe.relearning.safe_shots": MANY},
        r"probe\.relearning\.safe_shots is 1000000, but the training split has \d+ clips to retain",
        {"probe.relearning.safe_shots": 1},
    ),
    (
        lcr_edits,
        {"unlearn.lcr.strengths": [2, 15], "unlearn.lcr.support": 20},
        r"unlearn\.lcr\.strengths is \d+, but only \d+ codes of layer 0 .* lower .* or unlearn\.lcr\.support",
        {"unlearn.lcr.strengths": [1], "unlearn.lcr.support": 1},
    ),
    (
        lcr_edits,
        {"unlearn.lcr.parts": {"kick": 1}, "unlearn.lcr.strengths": [15], "unlearn.lcr.support": 20},
        r"unlearn\.lcr\.strengths is 15, but only",
        {"unlearn.lcr.strengths": [1], "unlearn.lcr.support": 1},
    ),
    (
        pruned,
        {"unlearn.prune.strengths": [2, 14], "unlearn.prune.support": MANY},
        r"unlearn\.prune\.strengths is 14, but only 0 codes of layer 0 .* lower it or unlearn\.prune\.support",
        {"unlearn.prune.strengths": [1], "unlearn.prune.support": 1},
    ),
]


@pytest.mark.parametrize(("step", "changes", "match", "remedy"), REFUSED)
def test_a_value_is_refused_at_once_and_the_remedy_works(
    world: Path, step: Callable[[Params], object], changes: dict[str, Any], match: str, remedy: dict[str, Any]
) -> None:
    changes = {"ingest.bvh.folder": "data/raw/mocap", **changes} if "run.dataset" in changes else changes
    with pytest.raises(HmuError, match=f"(?s){match}"):
        step(tiny_params(nested(changes)))
    step(tiny_params(nested({**changes, **remedy})))


def test_a_gate_may_ask_for_attacks_that_are_left_out_for_now() -> None:
    knobs = tiny_params(nested({"probe.precision": [], "probe.revival": [], "probe.relearning.rows": 0}))
    assert {"int8", "precision"} <= set(knobs.probe.left_out) - set(knobs.probe.attacks)
    assert "revival-nearest" in knobs.probe.left_out
    assert not {"int8", "revival-predicted", "regrowth-2x1"} & set(knobs.probe.attacks)


def test_a_method_that_diverges_is_refused_where_it_does(world: Path) -> None:
    with pytest.raises(
        HmuError, match=r"the training has diverged: retain is not finite .* lower the `rate`"
    ):
        unlearn.run(tiny_params(nested({"unlearn.finetune.rate": 1e6})), "momask", "finetune")


@pytest.mark.parametrize("knob", ["negatives", "resampled"])
def test_a_classifier_trains_without_generated_motions(world: Path, knob: str) -> None:
    train.run(tiny_params(nested({f"train.classifier.{knob}": 0})), "classifier", None)
    assert (paths.component("classifier") / "config.json").is_file()


def test_the_longest_clip_is_the_evaluators() -> None:
    assert EvaluatorConfig().max_frames == (MOST_FRAMES - 1) // 4 * 4


def test_the_attacks_that_params_name_are_those_that_are_run(world: Path) -> None:
    from hmu_tasks import probe

    knobs = tiny_params(nested({"probe.restored": ["tokenizer"], "probe.precision": ["bf16", "int8"]}))
    probe.run(knobs, "momask", "lcr")
    rows = read_objects(paths.probing("momask", "lcr") / "probe.json", "attack", "family")
    run = {name for row in rows for name in (row["attack"], row["family"])}
    assert run == set(knobs.probe.attacks)
