"""Step ingest: its printed report, and that a failed run leaves nothing."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tiny_raw
from tiny_world import ROOT, tiny_params

from hmu_tasks import ingest
from hmu_tasks.ingest import print_report
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ConfigError, DataError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with KIT-ML, some clips damaged."""
    monkeypatch.chdir(tmp_path)
    raw = tiny_raw.write_kitml(tmp_path / "raw")
    vectors = raw / "new_joint_vecs"
    for name in ("00001", "M00001", "00002", "M00002", "00100"):
        (vectors / f"{name}.npy").unlink()
    np.save(vectors / "00003.npy", np.load(vectors / "00003.npy")[:1])
    np.save(vectors / "00005.npy", np.load(vectors / "00005.npy")[:20])
    np.save(vectors / "00006.npy", np.load(vectors / "00006.npy").astype(np.float64))
    return raw


def run(on_bad: str) -> ingest.IngestReport:
    settings = {"source": "raw", "min_frames": 24, "on_bad": on_bad}
    return ingest.run(tiny_params({"run": {"dataset": "kitml"}, "ingest": settings}))


def test_the_report_lists_skipped_ids(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = run("skip")
    print_report(report)
    assert capsys.readouterr().out.splitlines() == [
        "25 clips (train 10, val 7, test 8), 43 captions",
        "  skipped no motion: 5 (00001, M00001, 00002, …)",
        "  skipped one frame: 1 (00003)",
        "  skipped too short: 1 (00005)",
        "  converted from float64: 1 (00006)",
        "  all of them: data/clips/ingest.json",
    ]
    record = json.loads((paths.CLIPS / "ingest.json").read_text(encoding="utf-8"))
    assert record["dataset"] == "kitml"
    assert record["reasons"] == {"no motion": 5, "one frame": 1, "too short": 1}
    assert [entry["id"] for entry in record["skipped"]] == [entry.id for entry in report.skipped]
    assert record["converted"] == {"float64": ["00006"]}
    assert (record["clips"], record["captions"]) == (25, 43)


def test_without_skipped_ids_the_report_is_one_line(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_raw.write_kitml(project)
    print_report(run("error"))
    assert capsys.readouterr().out == "32 clips (train 16, val 8, test 8), 56 captions\n"


def test_a_failed_step_leaves_nothing(project: Path) -> None:
    with pytest.raises(DataError, match="6 faults in 32 listed ids; nothing was ingested"):
        run("error")
    assert not paths.CLIPS.exists()
    assert [path.name for path in paths.DATA.iterdir()] == []


def test_a_folder_without_a_usable_clip_says_why(project: Path) -> None:
    for file in (project / "new_joint_vecs").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"no usable clip; .*; skipped: 32 no motion"):
        run("skip")


def test_an_unknown_dataset_lists_the_choices(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="unknown dataset 'kit'; choose one of synthetic, humanml3d, motionx, kitml"
    ):
        ingest.ingest(tmp_path, tmp_path / "clips", dataset="kit")


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("data/raw/humanml3d.dvc", False),
        ("data/raw/humanml3d/new_joint_vecs/000000.npy", True),
        ("data/clips/features.npy", True),
        ("data/validation.json", True),
    ],
)
def test_git_keeps_what_dvc_add_writes_and_no_data(path: str, ignored: bool) -> None:
    """`dvc add` refuses to write a file that git ignores."""
    asked = subprocess.run(["git", "check-ignore", "--quiet", path], cwd=ROOT, check=False)
    assert asked.returncode == (0 if ignored else 1)
