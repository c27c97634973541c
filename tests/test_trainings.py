"""Two trainings of all models through the steps: own folders and seeds, shared evaluators, one report of both."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_world import tiny_params

from hmu_tasks import codebook, evaluate, probe, register, train, unlearn
from hmu_tasks.config.params import Params
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.models.networks import weights
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ConfigError, DataError
from hmu_tasks.runtime.files import read_json
from hmu_tasks.viewer.reading import read_inputs

pytestmark = pytest.mark.slow
CELLS = (*ENDS, "lcr")


FEW_ATTACKS = {"precision": [], "revival": [], "relearning": {"steps": [1], "safe_shots": 0, "rows": 0}}


def knobs(*trainings: int) -> Params:
    run = {"methods": ["lcr"], "trainings": list(trainings)}
    return tiny_params({"run": run, "probe": FEW_ATTACKS})


@pytest.fixture(scope="module")
def twice(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A world with a second training beside the first."""
    root = tmp_path_factory.mktemp("trainings") / "world"
    shutil.copytree(finished, root)
    both = knobs(0, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        before = weights.digest(paths.edits("momask", "original").parent)
        with paths.of_training(1):
            for component, variants in (
                ("tokenizer", train.VARIANTS),
                ("text", (None,)),
                ("base-momask", train.VARIANTS),
                ("residual", train.VARIANTS),
            ):
                for variant in variants:
                    train.run(both, component, variant)
            codebook.run(both)
            for step in (unlearn, evaluate):
                for method in CELLS:
                    step.run(both, "momask", method)
        for number in both.run.trainings:
            with paths.of_training(number):
                for method in CELLS:
                    probe.run(both, "momask", method)
        assert weights.digest(paths.edits("momask", "original").parent) == before
        yield root


def test_every_network_differs_and_the_evaluators_are_shared(twice: Path) -> None:
    own = [
        ("text", None),
        *((name, v) for name in ("tokenizer", "base-momask", "residual") for v in train.VARIANTS),
    ]
    for component, variant in own:
        first = paths.component(component, variant)
        with paths.of_training(1):
            second = paths.component(component, variant)
        assert first != second
        assert weights.digest(first / "model.safetensors") != weights.digest(second / "model.safetensors")
    for component in paths.SHARED:
        with paths.of_training(1):
            assert paths.component(component) == Path("runs/train") / component


def test_a_training_repeats_to_the_byte(twice: Path, tmp_path: Path) -> None:
    with paths.of_training(1):
        before = weights.digest(paths.component("tokenizer", "full"))
        train.run(knobs(0, 1), "tokenizer", "full")
        assert weights.digest(paths.component("tokenizer", "full")) == before


def test_the_report_is_of_the_first_with_a_table_of_both(twice: Path) -> None:
    one, both = read_inputs(knobs(0)), read_inputs(knobs(0, 1))
    assert one.trainings == {}
    assert [row["mean"] for row in one.records] == [row["mean"] for row in both.records]
    summary = both.trainings["momask"]
    assert summary["trainings"] == [0, 1]
    assert set(summary["values"]) == set(CELLS)
    flagged = summary["values"]["original"]["retain_r1"]
    assert flagged["mean"] == pytest.approx(sum(flagged["each"]) / 2)
    assert len(summary["strengths"]["lcr"]) == 2
    swapped = read_inputs(knobs(1))
    assert {row["bundle"] for row in swapped.records if row["method"] == "original"}.isdisjoint(
        row["bundle"] for row in one.records if row["method"] == "original"
    )


def test_the_gate_reads_the_training_that_is_worked_on(twice: Path) -> None:
    bundles = {}
    for number in (0, 1):
        with paths.of_training(number):
            found = sorted(paths.edits("momask", "lcr").glob("*/bundle.json"))
            bundles[number] = {read_json(path)["digest"] for path in found}
            register.run(knobs(number), "momask", "lcr", None)
        text = (paths.registration("momask", "lcr") / "evidence.json").read_text()
        assert any(digest in text for digest in bundles[number])
        assert not any(digest in text for digest in bundles.get(number - 1, ()))


def test_a_training_that_was_not_run_is_missed(twice: Path) -> None:
    with pytest.raises(DataError, match="training 2"):
        read_inputs(knobs(0, 2))


def test_trainings_are_checked() -> None:
    with pytest.raises(ConfigError, match="name each training once"):
        knobs(1, 1)
    with pytest.raises(ConfigError, match=r"run\.trainings"):
        knobs()
    with pytest.raises(ConfigError, match=r"unknown training 3; run.trainings names 0, 1"):
        knobs(0, 1).training(3)
    assert knobs(4, 1).training(None) == 4
