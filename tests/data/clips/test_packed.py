import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hmu_tasks import ingest as step
from hmu_tasks.config import params
from hmu_tasks.data.clips import packed
from hmu_tasks.data.clips.arrays import GrowingArray
from hmu_tasks.data.clips.clips import Actions, Caption, Clip
from hmu_tasks.data.datasets import DATASETS, dataset_named
from hmu_tasks.data.motion.normalisation import RunningStatistics, Statistics
from hmu_tasks.runtime.addresses import found_at
from hmu_tasks.runtime.errors import ConfigError, DataError
from hmu_tasks.runtime.yaml_files import read_yaml


def clip(clip_id, *, split="train", frames=50, captions=2, mirror_of=None, labels=False, seed=0):
    return Clip(
        clip_id=clip_id,
        split=split,
        source=clip_id.split("@")[0],
        features=np.random.default_rng(seed).normal(0, 1, (frames, 263)).astype(np.float32),
        captions=tuple(Caption(f"text {i}", "text/NOUN", 0.5 * i, 1.5 * i) for i in range(captions)),
        mirror_of=mirror_of,
        labels=np.full(frames, seed, dtype=np.int16) if labels else None,
    )


CLIPS = [
    clip("a", frames=41, seed=0),
    clip("Ma", frames=41, mirror_of="a", seed=1),
    clip("b@0-60", split="val", frames=60, captions=1, seed=2),
    clip("Mz", split="test", mirror_of="z", seed=3),
]


@pytest.fixture
def folder(tmp_path):
    packed.pack(CLIPS, tmp_path)
    return tmp_path


def digests(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def test_packed_clips_round_trip(folder):
    clips = packed.load(folder)
    assert len(clips) == 4
    for given in CLIPS:
        np.testing.assert_array_equal(clips.features(given.clip_id), given.features)
        assert clips.frames(given.clip_id) == len(given.features)
        assert clips.labels(given.clip_id) is None
    assert clips.actions is None
    assert clips.ids() == ["a", "Ma", "b@0-60", "Mz"]
    assert (clips.ids("train"), clips.ids("val"), clips.ids("test")) == (["a", "Ma"], ["b@0-60"], ["Mz"])
    assert list(clips.table.columns) == ["clip_id", "split", "offset", "frames", "fps", "mirror_of", "source"]
    assert list(clips.table["offset"]) == [0, 41, 82, 142]
    assert list(clips.table["source"]) == ["a", "Ma", "b", "Mz"]
    assert list(clips.table["mirror_of"].isna()) == [True, False, True, True]  # z was not packed
    assert list(clips.captions.columns) == ["clip_id", "caption", "tokens", "start_s", "end_s"]
    assert list(clips.captions["clip_id"]) == ["a", "a", "Ma", "Ma", "b@0-60", "Mz", "Mz"]
    assert clips.captions.loc[1].to_list() == ["a", "text 1", "text/NOUN", 0.5, 1.5]


def test_the_files_are_plain_and_their_types_fixed(folder):
    features = np.load(folder / "features.npy")
    assert (features.shape, features.dtype) == ((192, 263), np.float32)
    table = pd.read_parquet(folder / "clips.parquet")
    assert [str(t) for t in table.dtypes] == ["str", "str", "int64", "int32", "float32", "str", "str"]


def test_features_are_mapped_and_read_only(folder):
    features = packed.load(folder).features("a")
    assert isinstance(features, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        features[0] = 0


def test_the_report_counts(tmp_path):
    report = packed.pack(iter(CLIPS), tmp_path)
    assert (report.clips, report.captions, report.frames) == (4, 7, 192)
    assert report.splits == {"train": 2, "val": 1, "test": 1}


def statistics_of(clips):
    running = RunningStatistics()
    for one in clips:
        running.add(one.features)
    return running.result()


def test_statistics_are_those_of_the_training_clips_or_as_given(tmp_path, folder):
    expected = statistics_of([c for c in CLIPS if c.split == "train"])
    clips = packed.load(folder)
    np.testing.assert_array_equal(clips.mean, expected.mean)
    np.testing.assert_array_equal(clips.std, expected.std)
    packed.pack(CLIPS[2:], folder)
    np.testing.assert_array_equal(packed.load(folder).mean, statistics_of(CLIPS[2:]).mean)
    given = Statistics(np.full(263, 2, dtype=np.float32), np.full(263, 3, dtype=np.float32))
    packed.pack(CLIPS, folder, statistics=given)
    assert (packed.load(folder).std == 3).all()


def test_labels_and_actions_pass_through(tmp_path):
    clips = [clip("a", labels=True, seed=0), clip("b", split="val", frames=44, labels=True, seed=1)]
    actions = Actions(("walk", "kick"), (False, True))
    packed.pack(clips, tmp_path, actions=actions)
    loaded = packed.load(tmp_path)
    assert loaded.actions == actions
    np.testing.assert_array_equal(loaded.labels("b"), np.ones(44))
    assert np.load(tmp_path / "labels.npy").dtype == np.int16
    assert json.loads((tmp_path / "actions.json").read_text())["violent"] == [False, True]
    with pytest.raises(DataError, match="c has no action labels"):
        packed.pack([clip("c")], tmp_path, actions=actions)


def test_same_clips_same_bytes(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        packed.pack(CLIPS, tmp_path / name)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_nothing_to_pack_and_equal_ids(tmp_path):
    with pytest.raises(DataError, match="no usable clip"):
        packed.pack([], tmp_path)
    with pytest.raises(DataError, match="same id"):
        packed.pack([CLIPS[0], CLIPS[0]], tmp_path)


def test_unknown_clips_and_splits(folder):
    clips = packed.load(folder)
    for ask in (clips.features, clips.frames, clips.labels):
        with pytest.raises(DataError, match="there is no clip 'nobody'"):
            ask("nobody")
    with pytest.raises(DataError, match="choose one of train, val, test"):
        clips.ids("training")


@pytest.mark.parametrize("name", ["clips.parquet", "captions.parquet", "features.npy", "mean.npy", "std.npy"])
def test_missing_and_damaged_files(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=f"{name}.*run the ingest step again"):
        packed.load(folder)
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"{name} is missing; run the ingest step first"):
        packed.load(folder)


def test_inconsistent_files(folder):
    table = packed.load(folder).table
    np.save(folder / "features.npy", np.zeros((191, 263), dtype=np.float32))
    with pytest.raises(DataError, match=r"features\.npy has shape"):
        packed.load(folder)
    packed.pack(CLIPS, folder)
    table.drop(columns="fps").to_parquet(folder / "clips.parquet")
    with pytest.raises(DataError, match=r"clips\.parquet has columns"):
        packed.load(folder)


def test_a_growing_array_is_an_ordinary_array_at_any_length(tmp_path):
    file = tmp_path / "x.npy"
    for rows in (0, 1, 9, 10, 99_999, 100_000):
        with GrowingArray(file, "<i2", ()) as array:
            for start in range(0, rows, 30_000):
                array.append(np.arange(start, min(start + 30_000, rows)) % 1000)
        found = np.load(file)
        assert found.dtype == np.int16
        np.testing.assert_array_equal(found, np.arange(rows) % 1000)


@pytest.fixture
def raw(tmp_path):
    source = tmp_path / "raw"
    for part in ("new_joint_vecs", "texts"):
        (source / part).mkdir(parents=True)
    for split, ids in (("train", ["a", "short", "b"]), ("val", ["c"]), ("test", ["d"])):
        (source / f"{split}.txt").write_text("".join(f"{i}\n" for i in ids))
        for i in ids:
            np.save(
                source / "new_joint_vecs" / f"{i}.npy", clip(i, frames=20 if i == "short" else 50).features
            )
            (source / "texts" / f"{i}.txt").write_text("walks#walk/VERB#0#0\n")
    return source


def test_ingest_packs_a_raw_folder_and_reports_skipped_ids(raw, tmp_path):
    target = tmp_path / "clips"
    report = step.ingest(raw, target)
    assert report.packed.splits == {"train": 2, "val": 1, "test": 1}
    record = json.loads((target / "ingest.json").read_text())
    assert record["skipped"] == [
        {"id": "short", "reason": "too short", "detail": "20 frames; the minimum is 40", "damaged": False}
    ]
    assert record["reasons"] == {"too short": 1}
    before = digests(target)
    step.ingest(raw, target)
    assert digests(target) == before


def test_a_failed_ingest_keeps_the_old_output(raw, tmp_path):
    target = tmp_path / "clips"
    step.ingest(raw, target)
    before = digests(target)
    (raw / "texts/d.txt").unlink()
    with pytest.raises(DataError, match="no text"):
        step.ingest(raw, target)
    assert digests(target) == before
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    assert step.ingest(raw, target, on_bad="skip").packed.clips == 3


def test_datasets_are_known_by_name():
    assert dataset_named("humanml3d").writer is None
    assert callable(found_at(dataset_named("synthetic").writer))
    assert {dataset_named(name).name for name in DATASETS} == set(DATASETS)
    with pytest.raises(ConfigError, match=", ".join(DATASETS)):
        dataset_named("motion")


def test_the_step_generates_packs_and_is_reproducible(tmp_path, monkeypatch):
    values = read_yaml(Path(__file__).resolve().parents[3] / "params.yaml")
    values["run"]["dataset"] = "synthetic"
    values["ingest"]["synthetic"] |= {"clips": 40, "val": 16, "test": 16}
    monkeypatch.chdir(tmp_path)
    settings = params.parse(values, "params.yaml")
    report = step.run(settings)
    assert report.packed.splits["train"] > 0
    clips = packed.load(tmp_path / "data/clips")
    assert clips.actions is not None
    assert clips.table["mirror_of"].notna().any()
    before = digests(tmp_path / "data/clips")
    step.run(settings)
    assert digests(tmp_path / "data/clips") == before
