"""Real clips and real captions in HumanML3D's layout go through every step to the report."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from project_copy import Project, executed, make_project
from simplemma import lemmatize
from tiny_world import run_every_step

from hmu_tasks import probe, register, report
from hmu_tasks.config import params
from hmu_tasks.config.params import Params
from hmu_tasks.data.clips.words import words_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

KEYWORDS = "kick|punch|hit|beat|boxe|boxing|jab|uppercut|hook"  # the published rule for HumanML3D
FORGET = {"train": 4, "val": 2, "test": 2}
RETAIN = {"train": 8, "val": 3, "test": 3}

OVERLAY = {
    "run": {"dataset": "humanml3d"},
    "ingest": {"source": "data/raw/humanml3d", "on_bad": "skip"},
    "filter": {"rule": "substring"},
    "validate": {"forget_share": [0.1, 0.6]},
    "train": {"tokenizer": {"steps": 20}},
    "unlearn": {"lcr": {"strengths": [2, 5]}},
}


def write_raw_folder(target: Path, shared: Path) -> dict[str, list[str]]:
    """Write the six real clips under ids of the real captions; returns the ids of each split."""
    clips = shared / "data" / "features_263"
    files = sorted(path for path in clips.glob("*.npy") if path.stem not in ("Mean", "Std"))
    # The clip that is a kick, stored as float64, stands first and so under a caption that says so.
    assert np.load(files[0]).dtype == np.float64
    captions = pd.read_parquet(shared / "data" / "captions" / "humanml3d_captions_dev.parquet")
    texts = {name: list(rows) for name, rows in captions.groupby("id")["caption"]}
    violent = [name for name, rows in texts.items() if any(re.search(KEYWORDS, row) for row in rows)]
    kicks = [name for name in violent if all("kick" in row for row in texts[name])]
    safe = [name for name in texts if name not in set(violent)]
    pools = {"forget": iter(dict.fromkeys([*kicks, *violent])), "retain": iter(safe)}
    splits: dict[str, list[str]] = {}
    for part in ("new_joint_vecs", "texts"):
        (target / part).mkdir(parents=True)
    for role, sizes in (("forget", FORGET), ("retain", RETAIN)):
        for split, size in sizes.items():
            for number in range(size):
                name = next(pools[role])
                source = (
                    files[0]
                    if role == "forget" and number == 0
                    else files[(number + len(split)) % len(files)]
                )
                shutil.copy(source, target / "new_joint_vecs" / f"{name}.npy")
                lines = [f"{row}#{tagged(row)}#0.0#0.0\n" for row in texts[name]]
                (target / "texts" / f"{name}.txt").write_text("".join(lines), encoding="utf-8")
                splits.setdefault(split, []).append(name)
    # Its text is there, its motion breaks off.
    broken = splits["train"][-1] + "b"
    shutil.copy(target / "texts" / f"{splits['train'][-1]}.txt", target / "texts" / f"{broken}.txt")
    (target / "new_joint_vecs" / f"{broken}.npy").write_bytes(files[1].read_bytes()[:5000])
    splits["train"].append(broken)
    for split, names in splits.items():
        (target / f"{split}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    for name in ("Mean.npy", "Std.npy"):
        shutil.copy(clips / name, target / name)
    return splits


def tagged(caption: str) -> str:
    """Dictionary forms, as the official files have them, without a tagger's knowledge: these captions lack theirs."""
    return " ".join(f"{lemmatize(word, lang='en').lower()}/OTHER" for word in words_of(caption))


@pytest.fixture(scope="module")
def project(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = make_project(tmp_path_factory.mktemp("real") / "project", OVERLAY)
    write_raw_folder(made.root / "data" / "raw" / "humanml3d", shared)
    return made


def test_dvc_reads_the_raw_folder_and_then_has_nothing_to_do(project: Project) -> None:
    assert executed(project.good("dvc", "repro", "validate")) == ["ingest", "filter", "validate"]
    assert executed(project.good("dvc", "repro", "validate")) == []
    assert project.temporary() == []


def run_the_rest(knobs: Params) -> None:
    """Take the data of `dvc repro validate` to the report, in this process."""
    run_every_step(knobs)
    for method in ("original", "retrain", "lcr"):
        probe.run(knobs, "momask", method)
    register.run(knobs, "momask", "lcr")
    report.run(knobs)


def test_real_clips_reach_the_report(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project.root
    monkeypatch.chdir(root)
    run_the_rest(params.load())

    ingest = json.loads((root / "data" / "clips" / "ingest.json").read_text(encoding="utf-8"))
    assert ingest["reasons"] == {"bad motion": 1}
    for sizes, side in ((FORGET, "forget"), (RETAIN, "retain")):
        for split, size in sizes.items():
            listed = (root / "data" / "split" / f"{split}-{side}.txt").read_text(encoding="utf-8").split()
            assert len(listed) == size

    table = pd.read_csv(root / "reports" / "benchmark.csv")
    assert set(table["dataset"]) == {"humanml3d"}
    wanted = {"real", "reconstruction-full", "reconstruction-retrain", "resampled"}
    wanted |= {"original", "retrain", "lcr"}
    assert set(table["method"]) == wanted
    assert not table["metric"].str.contains("violence").any()  # there are no action labels to learn it from
    lcr = table[(table["method"] == "lcr") & (table["split"] == "forget")]
    known = {"fid", "kid", "r1", "r2", "r3", "mm_dist", "mm_safe", "diversity", "multimodality", "peak_jerk"}
    assert known <= set(lcr["metric"])
    assert set(lcr["n"]) == {FORGET["test"]}
    assert table[["mean", "n"]].notna().all(axis=None)
    assert table[table["metric"] != "ncs_rank_median"][["low", "high"]].notna().all(axis=None)

    selection = json.loads(
        (root / "runs" / "evaluate" / "0" / "momask" / "lcr" / "selection.json").read_text(encoding="utf-8")
    )
    assert selection["strength"] in (2, 5)
    # Without a violence rate the strength is picked by how far forget FID has come from the original's to D_r's.
    fid = table[(table["split"] == "forget-val") & (table["metric"] == "fid")].set_index("method")["mean"]
    picked = table["strength"] == selection["strength"]
    of_lcr = table[picked & (table["split"] == "forget-val") & (table["metric"] == "fid")]["mean"].item()
    gap = fid["retrain"] - fid["original"]
    if selection["metric"] == "fid":
        assert gap > 0
        closure = (of_lcr - fid["original"]) / gap
        assert selection["uncapped"] == pytest.approx(closure, rel=1e-4, abs=1e-6)
    else:  # models of toy size: D_r may lie nearer to the forget motions than the original does, or as near
        assert selection["closure"] is None
        assert "D_r's FID is" in selection["reason"]
    summary = (root / "reports" / "tables.txt").read_text(encoding="utf-8")
    assert not re.search(r"violence (%|gap)", summary)
    assert len(list((root / "reports" / "gifs").glob("*.gif"))) > 0
    assert (root / "reports" / "index.html").stat().st_size > 50_000
    assert project.temporary() == []
