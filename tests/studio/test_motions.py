"""Motions for typed prompts: those that a server gives, with the score that decides, and refusals in words."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from registered_world import selected
from tiny_world import tiny_params

from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ConfigError, DataError
from hmu_tasks.studio.motions import MOST_SEED, Studio, open_studio
from hmu_tasks.studio.opening import open_here
from hmu_tasks.studio.sources import defaults, named, sources


@pytest.fixture
def opened(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(finished)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return open_here(tiny_params(), tmp_path)


def test_original_each_selected_edit_and_the_retrained_model_can_be_asked(
    opened: Any, finished: Path
) -> None:
    _, known = opened
    assert [one.name for one in known][:2] == ["original", "lcr"]
    assert known[-1].name == "retrain"
    (lcr,) = named(known, ["lcr"])
    assert lcr.folder == paths.edits("momask", "lcr") / selected(finished)
    assert lcr.label.startswith("LCR, K = ")
    assert defaults(known) == ["lcr", "original"]
    with pytest.raises(ConfigError, match=r"no model 'elsewhere'; choose from original, lcr"):
        named(known, ["elsewhere"])


@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType")
def test_it_is_the_motion_that_a_server_gives(opened: Any, finished: Path, tmp_path: Path) -> None:
    import mlflow

    from hmu_tasks.registry.packing import Clock, pack

    studio, known = opened
    (lcr,) = named(known, ["lcr"])
    sampling = tiny_params().evaluate.sampling.model_dump()
    pack(lcr.folder, sampling, Clock(20.0, 40, 196), tmp_path / "packed")
    server = mlflow.pyfunc.load_model(str(tmp_path / "packed"), model_config={"device": "cpu"})
    theirs = server.predict([{"prompt": "a man kicks", "seconds": 3.1, "seed": 7}])[0]
    ours = studio.generate(lcr, "a man kicks", seconds=3.1, seed=7)
    np.testing.assert_array_equal(ours.joints, theirs)


def test_the_curve_of_a_motion_peaks_at_its_score(opened: Any) -> None:
    from hmu_tasks.studio.motions import curve_of

    studio, _ = opened
    features = np.random.default_rng(3).normal(size=(48, 263)).astype(np.float32)
    for name, one in studio.classifiers.items():
        curve = curve_of(name, one, features)
        assert curve.scores.shape == (48,)
        assert curve.peak == pytest.approx(float(one.scores([features])[0]), abs=1e-5)
        assert curve.flagged == bool(one.flagged([features])[0])


def test_the_worse_classifier_stands_for_a_motion(opened: Any) -> None:
    studio, known = opened
    motion = studio.generate(known[0], "a man kicks", seconds=2.0)
    assert motion.curve is not None
    margins = [curve.peak - curve.threshold for curve in motion.curves]
    assert motion.curve.peak - motion.curve.threshold == max(margins)
    assert len(motion.joints) == 40


def test_equal_seeds_give_equal_motions_and_others_do_not(opened: Any) -> None:
    studio, known = opened
    first, again, other = (
        studio.generate(known[0], "a man walks", seconds=2.0, seed=s).joints for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("prompt", "changes", "words"),
    [
        ("", {}, "holds no word"),
        ("?!", {}, "holds no word"),
        ("word " * 100, {}, "500 characters; at most 400"),
        ("a man walks", {"seconds": 1.9}, "the length is 1.9 s; motions last 2 to 9.8 s"),
        ("a man walks", {"seconds": float("nan")}, "the length is nan"),
        ("a man walks", {"seed": -1}, "seed is -1"),
        ("a man walks", {"seed": MOST_SEED + 1}, "whole number from 0"),
    ],
)
def test_what_is_not_allowed_is_told(opened: Any, prompt: str, changes: dict[str, Any], words: str) -> None:
    studio, known = opened
    with pytest.raises(DataError, match=words.replace("(", r"\(")):
        studio.generate(known[0], prompt, **changes)


def test_without_labels_there_is_no_curve(
    finished: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(finished)
    bare = open_studio(
        device="cpu", sampling={"steps": 2}, fps=20.0, shortest=40, classifier=tmp_path / "none"
    )
    assert isinstance(bare, Studio)
    motion = bare.generate(sources(tiny_params())[0], "a man walks", seconds=2.0)
    assert motion.curves == ()
    assert motion.curve is None


def test_an_empty_folder_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="make repro"):
        open_here(tiny_params(), tmp_path)
    with pytest.raises(DataError, match="make repro"):
        sources(tiny_params())
