"""A small KIT-ML and a small Motion-X folder go through the steps as they would come from their authors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny_raw
import torch
from tiny_world import ROOT, run_every_step, tiny_params

from hmu_tasks import filter as divide
from hmu_tasks import ingest, report, validate
from hmu_tasks.data.motion.features import to_joints
from hmu_tasks.data.motion.layout import KITML
from hmu_tasks.models.generators.bundle import load_bundle
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.runtime import paths

pytestmark = pytest.mark.slow


def settings_of(dataset: str, **ingesting: Any) -> dict[str, Any]:
    return {
        "run": {"dataset": dataset},
        "ingest": {"source": f"data/raw/{dataset}", "min_frames": 24, **ingesting},
        "filter": {"rule": "substring", "concepts": str(ROOT / "hmu_tasks/data/concepts/concepts.yaml")},
        "validate": {"forget_share": [0.1, 0.6]},
        "probe": {"relearning": {"shots": [1]}},
    }


def listed(split: str, side: str) -> list[str]:
    return (paths.SPLIT / f"{split}-{side}.txt").read_text(encoding="utf-8").splitlines()


def test_motion_x_is_ingested_divided_and_validated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_raw.write_motionx(paths.RAW / "motionx")
    settings = tiny_params(settings_of("motionx"))
    ingest.run(settings)
    divide.run(settings)
    validate.run(settings)
    assert listed("train", "forget") == ["kungfu/subset_0000/Aerial_Kick_Kungfu Wushu_clip_8"]
    assert len(listed("train", "retain")) == 5
    assert listed("test", "forget") == [f"HAA500/subset_0004/Punching Bag_clip_{n}" for n in (4, 5)]
    record = json.loads(paths.VALIDATION.read_text(encoding="utf-8"))
    assert record["success"] is True
    assert record["limits"]["fps"] == 30


def test_kit_clips_reach_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_raw.write_kitml(paths.RAW / "kitml")
    settings = tiny_params(settings_of("kitml"))
    run_every_step(settings)
    validate.run(settings)
    report.run(settings)
    bundle = load_bundle(paths.edits("momask", "original") / "s0", torch.device("cpu"))
    text = bundle.text(["a human kicks", "a person walks"])
    motions = bundle.model.generate(
        text, [28, 40], sampling=Sampling(steps=2), generator=torch.Generator().manual_seed(0)
    )
    assert [motion.shape for motion in motions] == [(28, 251), (40, 251)]
    assert [to_joints(motion).shape for motion in motions] == [(28, 21, 3), (40, 21, 3)]
    config = json.loads((paths.component("tokenizer", "full") / "config.json").read_text(encoding="utf-8"))
    local = KITML.local_positions
    assert (config["features"], config["positions_start"], config["positions_stop"]) == (
        251,
        local.start,
        local.stop,
    )
    with np.load("reports/motions.npz") as samples:
        assert {samples[name].shape[1:] for name in samples} == {(21, 3)}
    table = pd.read_csv("reports/benchmark.csv")
    assert set(table["dataset"]) == {"kitml"}
    assert table[["mean", "n"]].notna().all(axis=None)
    page = Path("reports/index.html").read_text(encoding="utf-8")
    assert '"fps":12.5' in page
    assert '"joints":21' in page
