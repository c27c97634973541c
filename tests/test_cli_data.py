"""The command line on raw data as users have it: damaged, incomplete, or other than params.yaml says; no tracebacks."""

from pathlib import Path

import numpy as np
import pytest
from command_line import FRAMES, change, contents, earlier, error, project, raw, run

__all__ = ["project", "raw"]


def test_an_unknown_concept_lists_the_choices(raw: Path, project: Path) -> None:
    assert run(project, "ingest").returncode == 0
    change(project, run__concept="violense")
    message = error(run(project, "filter"))
    assert "'violense'" in message
    assert "violence" in message
    assert not (project / "data" / "split").exists()


@pytest.mark.parametrize(
    "lost", ["data/split/train-retain.txt", "data/clips/features.npy", "data/clips/clips.parquet"]
)
def test_a_lost_file_is_named(raw: Path, project: Path, lost: str) -> None:
    for step in ("ingest", "filter"):
        assert run(project, step).returncode == 0
    (project / lost).unlink()
    message = error(run(project, "train", "tokenizer", "retrain"))
    assert f"{lost} is missing" in message


def test_a_raw_folder_that_is_not_there(project: Path) -> None:
    change(project, run__dataset="humanml3d", ingest__source="data/raw/nowhere")
    assert "data/raw/nowhere is not a directory; set ingest.source" in error(run(project, "ingest"))


def test_ingest_and_filter_read_what_is_there(raw: Path, project: Path) -> None:
    for step in ("ingest", "filter"):
        done = run(project, step)
        assert done.returncode == 0, done.stderr
    assert (project / "data" / "split" / "train-forget.txt").read_text().split() == [
        "000001",
        "000003",
        "000005",
        "000007",
    ]


def nan(raw: Path) -> str:
    features = np.load(raw / "new_joint_vecs" / "000003.npy")
    features[7, 5] = np.nan
    np.save(raw / "new_joint_vecs" / "000003.npy", features)
    return "new_joint_vecs/000003.npy contains NaN or infinite numbers, first in frame 7"


def truncated(raw: Path) -> str:
    file = raw / "new_joint_vecs" / "000003.npy"
    file.write_bytes(file.read_bytes()[:1000])
    return "new_joint_vecs/000003.npy cannot be read as a .npy array"


def pickled(raw: Path) -> str:
    np.save(raw / "new_joint_vecs" / "000003.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return "new_joint_vecs/000003.npy"


def misshaped(raw: Path) -> str:
    np.save(raw / "new_joint_vecs" / "000003.npy", np.zeros((FRAMES, 251), np.float32))
    return "new_joint_vecs/000003.npy has shape (60, 251); expected [frames, 263]"


def no_caption(raw: Path) -> str:
    (raw / "texts" / "000003.txt").write_text("#a/DET#0.0#0.0\n", encoding="utf-8")
    return "texts/000003.txt line 1 has an empty caption"


def no_text(raw: Path) -> str:
    (raw / "texts" / "000003.txt").unlink()
    return "texts/000003.txt is missing"


def no_motion(raw: Path) -> str:
    (raw / "new_joint_vecs" / "000003.npy").unlink()
    return "new_joint_vecs/000003.npy is missing"


DAMAGE = [nan, truncated, pickled, misshaped, no_caption, no_text, no_motion]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_a_bad_clip_stops_ingest_and_leaves_what_was_finished(raw: Path, project: Path, damage) -> None:  # type: ignore[no-untyped-def]
    before = earlier(project)
    expected = damage(raw)
    message = error(run(project, "ingest"))
    assert "000003" in message
    assert expected in message
    assert "set ingest.on_bad: skip" in message
    assert contents(project / "data" / "clips") == before
    assert sorted(path.name for path in (project / "data").iterdir()) == ["clips", "raw"]


def test_bad_clips_are_skipped_and_reported_where_that_is_asked_for(raw: Path, project: Path) -> None:
    nan(raw)
    np.save(raw / "new_joint_vecs" / "000005.npy", np.zeros((39, 263), np.float32))
    change(project, ingest__on_bad="skip")
    assert run(project, "ingest").returncode == 0
    told = (project / "data" / "clips" / "ingest.json").read_text(encoding="utf-8")
    assert "first in frame 7" in told
    assert '"000005"' in told
    assert '"clips": 14' in told


def test_a_clip_shorter_than_the_limit_is_left_out_and_reported(raw: Path, project: Path) -> None:
    np.save(raw / "new_joint_vecs" / "000004.npy", np.zeros((39, 263), np.float32))
    assert run(project, "ingest").returncode == 0  # as the official loader does
    told = (project / "data" / "clips" / "ingest.json").read_text(encoding="utf-8")
    assert '"000004"' in told
    assert "39 frames" in told


def test_an_empty_forget_set_stops_the_filter(raw: Path, project: Path) -> None:
    for number in (1, 3, 5, 7):
        (raw / "texts" / f"{number:06d}.txt").write_text(
            "a man walks#a/DET man/NOUN walk/VERB#0#0\n", encoding="utf-8"
        )
    assert run(project, "ingest").returncode == 0
    message = error(run(project, "filter"))
    assert "nothing to forget in the train split (8 clips)" in message
    assert "run.concept" in message
    assert not (project / "data" / "split").exists()


@pytest.mark.slow
def test_broken_contracts_stop_validation(raw: Path, project: Path) -> None:
    for step in ("ingest", "filter"):
        assert run(project, step).returncode == 0
    message = error(run(project, "validate"))  # random numbers are no motions
    assert "data contracts are broken" in message
    assert "000000" in message
    assert not (project / "data" / "validation.json").exists()
