"""A made-up AMASS tree in archives, with HumanML3D's index and captions, goes from the preset to the report."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from simplemma import lemmatize
from tiny_amass import Recorded, npz_bytes, write_archive, write_repository
from tiny_world import ROOT, TINY, overlaid, run_every_step

from hmu_tasks import report, validate
from hmu_tasks.config import params, presets
from hmu_tasks.config.params import Params
from hmu_tasks.data.clips.words import words_of
from hmu_tasks.data.datasets.synthetic.writer import is_violent, sample_clip
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.yaml_files import read_yaml

pytestmark = pytest.mark.slow

SUBS = ("KIT", "BMLrub", "CMU")
OWN = {"BMLrub": "BioMotionLab_NTroje"}  # as index.csv calls it
SIZES = {"train": 12, "val": 6, "test": 6}
OVERLAY = {
    "filter": {"rule": "lemma"},
    "validate": {"forget_share": [0.05, 0.9]},
    "train": {"text": {"encoder": "small"}},
    "run": {"methods": ["lcr"]},
    "evaluate": {"retrieval_batch": 4, "batch": 8},
}
SPOKEN = {
    True: ("a man kicks with his right leg", "a person punches twice"),
    False: ("a person walks forwards", "someone waves"),
}


def captions() -> dict[bool, list[str]]:
    """Real captions, violent or not, where they are there; else some of our own."""
    real = ROOT.parent / "shared" / "data" / "captions" / "humanml3d_captions_dev.parquet"
    if not real.exists():
        return {violent: list(rows) * 8 for violent, rows in SPOKEN.items()}
    table = pd.read_parquet(real)
    kicks = table["caption"].str.contains(r"\bkicks\b|\bpunches\b", regex=True)
    calm = table["caption"].str.contains(r"\bwalks\b|\bwaves\b", regex=True) & ~kicks
    return {True: list(table[kicks]["caption"]), False: list(table[calm]["caption"])}


def line(caption: str) -> str:
    tokens = " ".join(f"{lemmatize(word, lang='en').lower()}/OTHER" for word in words_of(caption))
    return f"{caption}#{tokens} ./PUNCT#0.0#0.0"


def write_tree(folder: Path, spoken: dict[bool, list[str]]) -> None:
    clips: dict[str, Recorded | str] = {}
    splits: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    archives: dict[str, dict[str, bytes]] = {}
    left = {violent: iter(rows) for violent, rows in spoken.items()}
    for number in range(sum(SIZES.values())):
        split = next(s for s, last in (("train", 12), ("val", 18), ("test", 24)) if number < last)
        joints, sub = sample_clip(2, "train", number, forget_share=0.5).joints[:70], SUBS[number % 3]
        clip_id = f"{number:06d}"
        motion = Recorded(
            f"{OWN.get(sub, sub)}/{number % 4}/motion {number}", joints, fps=(60, 120, 100)[number % 3]
        )
        archives.setdefault(sub, {})[f"{sub}/{number % 4}/motion {number}_poses.npz"] = npz_bytes(motion)
        clips[clip_id] = motion
        splits.setdefault(split, []).append(clip_id)
        caption = next(left[is_violent(number, 0.5)])
        texts |= {clip_id: line(caption), f"M{clip_id}": line(caption)}
    write_repository(folder / "HumanML3D", clips, splits, texts)
    for sub, members in archives.items():
        write_archive(folder / f"{sub}.tar.bz2", members)


def settings(folder: Path) -> Params:
    """The preset as it is shipped, then toy sizes."""
    file = folder / "params.yaml"
    shutil.copy(ROOT / "params.yaml", file)
    presets.apply("humanml3d-amass", file)
    values = overlaid(read_yaml(file), TINY)
    return params.parse(overlaid(values, OVERLAY), "tiny")


def test_amass_as_downloaded_reaches_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken = captions()
    monkeypatch.chdir(tmp_path)
    knobs = settings(tmp_path)
    assert knobs.ingest.source == paths.RAW / "amass"
    write_tree(knobs.ingest.source, spoken)
    run_every_step(knobs)
    validate.run(knobs)
    report.run(knobs)
    record = json.loads((paths.CLIPS / "ingest.json").read_text(encoding="utf-8"))
    assert record["clips"] == 2 * sum(SIZES.values()) - 2 * len(
        {entry["id"].strip("M") for entry in record["skipped"]}
    )
    assert record["clips"] > 36
    assert set(record["reasons"]) <= {"too short"}
    assert json.loads(paths.VALIDATION.read_text(encoding="utf-8"))["success"] is True
    table = pd.read_csv("reports/benchmark.csv")
    assert set(table["dataset"]) == {"humanml3d"}
    assert {"original", "retrain", "lcr", "real"} <= set(table["method"])
    assert table[["mean", "n"]].notna().all(axis=None)
    assert Path("reports/index.html").stat().st_size > 50_000
