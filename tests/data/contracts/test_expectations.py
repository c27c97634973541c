"""The data contracts: every one is broken once and must be reported."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_packed

from hmu_tasks.data.contracts import tables
from hmu_tasks.data.contracts.expectations import ContractLimits, SuiteResult, as_record, check, suites
from hmu_tasks.data.motion.layout import HUMANML3D

F = tiny_packed.FRAMES
SPLIT = {"train": ["000001"], "val": ["000005"], "test": ["000007"]}


class Data:
    """A tiny packed dataset that a test may damage."""

    def __init__(self) -> None:
        self.clips, self.captions = tiny_packed.tables()
        self.features = tiny_packed.all_features()
        self.lists: dict[tuple[str, str], list[str]] = {}
        for split, forget in SPLIT.items():
            forget = [*forget, *(f"M{name}" for name in forget)]
            here = self.clips.loc[self.clips["split"] == split, "clip_id"]
            self.lists[split, "forget"] = forget
            self.lists[split, "retain"] = [name for name in here if name not in forget]

    def frames(self, row: int) -> np.ndarray:
        """Features of a clip by its row, writable."""
        return self.features[row * F : (row + 1) * F]

    def check(self, folder: Path, *names: str) -> tuple[SuiteResult, ...]:
        """Check all suites, or only those named."""
        np.save(folder / "features.npy", self.features)
        made = {
            "clips": lambda: tables.clip_table(self.clips, self.captions),
            "captions": lambda: tables.caption_table(self.captions, self.clips),
            "features": lambda: tables.feature_table(folder / "features.npy", self.clips),
            "split": lambda: tables.split_table(self.clips, self.lists),
        }
        return check({name: made[name]() for name in names or made}, ContractLimits())


def broken(results: tuple[SuiteResult, ...]) -> dict[str, tuple[str, ...]]:
    """Clips of each broken contract, by 'suite.column'."""
    return {
        f"{suite.name}.{contract.column}": contract.clips
        for suite in results
        for contract in suite.contracts
        if not contract.success
    }


def set_clip(column: str, value: object) -> Callable[[Data], None]:
    def damage(data: Data) -> None:
        data.clips.loc[2, column] = value

    return damage


def set_caption(column: str, value: object) -> Callable[[Data], None]:
    def damage(data: Data) -> None:
        data.captions.loc[4, column] = value

    return damage


def put(frame: int, dimension: int | slice, value: float) -> Callable[[Data], None]:
    def damage(data: Data) -> None:
        data.frames(2)[frame, dimension] = value

    return damage


def stretch(data: Data) -> None:
    data.frames(2)[5:, HUMANML3D.local_positions] *= 1.05


def truncate(data: Data) -> None:
    data.features = data.features[: -F // 2]


def duplicate(data: Data) -> None:
    data.clips.loc[14, "clip_id"] = "000002"


def drop_captions(data: Data) -> None:
    data.captions = data.captions[data.captions["clip_id"] != "000002"]


def lose_original(data: Data) -> None:
    data.clips.loc[3, "mirror_of"] = "000099"


def part_twins(data: Data) -> None:
    data.clips.loc[3, "split"] = "val"


def list_twice(data: Data) -> None:
    data.lists["train", "forget"].append("000002")


def list_never(data: Data) -> None:
    data.lists["train", "retain"].remove("000002")


def list_unknown(data: Data) -> None:
    data.lists["train", "retain"].append("999999")


def list_elsewhere(data: Data) -> None:
    data.lists["train", "retain"].remove("000002")
    data.lists["val", "retain"].append("000002")


def part_sides(data: Data) -> None:
    data.lists["train", "forget"].remove("M000001")
    data.lists["train", "retain"].append("M000001")


def forget_too_many(data: Data) -> None:
    for name in ("000002", "M000002"):
        data.lists["train", "retain"].remove(name)
        data.lists["train", "forget"].append(name)


CASES: list[tuple[str, str, Callable[[Data], None], tuple[str, ...]]] = [
    ("clips", "clip_id", duplicate, ("000002",)),
    ("clips", "split", set_clip("split", "dev"), ("000002",)),
    ("clips", "frames", set_clip("frames", 39), ("000002",)),
    ("clips", "frames", set_clip("frames", 200), ("000002",)),
    ("clips", "fps", set_clip("fps", 30.0), ("000002",)),
    ("clips", "gap", set_clip("offset", 90), ("000002", "M000002")),
    ("clips", "captions", drop_captions, ("000002",)),
    ("clips", "twin_present", lose_original, ("M000002",)),
    ("clips", "twin_same_split", part_twins, ("M000002",)),
    ("captions", "clip_known", set_caption("clip_id", "999999"), ("999999",)),
    ("captions", "caption", set_caption("caption", None), ("000002",)),
    ("captions", "letters", set_caption("caption", " .\t"), ("000002",)),
    ("captions", "tokens", set_caption("tokens", "a person/NOUN walk/VERB"), ("000002",)),
    ("captions", "token_count, words", set_caption("tokens", "a/DET person/NOUN"), ("000002",)),
    ("features", "missing_frames", truncate, ("M000008",)),
    ("features", "non_finite", put(3, 100, np.nan), ("000002",)),
    ("features", "non_finite", put(3, slice(0, 3), np.inf), ("000002",)),
    ("features", "odd_contacts", put(3, HUMANML3D.contacts.start, 0.5), ("000002",)),
    ("features", "root_high", put(3, HUMANML3D.root.stop - 1, 9.0), ("000002",)),
    ("features", "root_low", put(3, HUMANML3D.root.stop - 1, -0.1), ("000002",)),
    ("features", "bone_drift", stretch, ("000002",)),
    ("split", "times_listed", list_twice, ("000002",)),
    ("split", "times_listed", list_never, ("000002",)),
    ("split", "clip_known", list_unknown, ("999999",)),
    ("split", "split_agrees", list_elsewhere, ("000002",)),
    ("split", "twin_same_side", part_sides, ("M000001",)),
    ("split", "forget", forget_too_many, ()),
]


def test_sound_data_keeps_every_contract(tmp_path: Path) -> None:
    results = Data().check(tmp_path)
    assert broken(results) == {}
    assert [suite.name for suite in results] == ["clips", "captions", "features", "split"]
    assert all(suite.success for suite in results)


@pytest.mark.parametrize(
    ("suite", "column", "damage", "clips"),
    CASES,
    ids=[f"{s}-{c}-{i}" for i, (s, c, _, _) in enumerate(CASES)],
)
def test_a_broken_contract_names_its_clips(
    tmp_path: Path, suite: str, column: str, damage: Callable[[Data], None], clips: tuple[str, ...]
) -> None:
    data = Data()
    damage(data)
    found = broken(data.check(tmp_path, suite))
    assert f"{suite}.{column}" in found, found
    assert found[f"{suite}.{column}"] == clips


def test_every_contract_has_a_test_that_breaks_it() -> None:
    columns = set()
    for name, expectations in suites(ContractLimits()).items():
        for expectation in expectations:
            column = getattr(expectation, "column", None) or f"{expectation.column_A}, {expectation.column_B}"
            columns.add((name, column))
    assert columns == {(suite, column) for suite, column, _, _ in CASES}


def test_a_missing_number_is_not_reported_twice(tmp_path: Path) -> None:
    data = Data()
    put(3, 5, np.nan)(data)
    assert set(broken(data.check(tmp_path))) == {"features.non_finite"}


def test_a_forget_share_of_zero_is_out_of_range(tmp_path: Path) -> None:
    data = Data()
    data.lists["train", "retain"] += data.lists["train", "forget"]
    data.lists["train", "forget"] = []
    results = data.check(tmp_path, "split")
    contract = next(c for c in results[0].contracts if c.column == "forget")
    assert (contract.success, contract.observed) == (False, 0.0)


def test_at_most_twenty_clips_are_named_and_all_are_counted(tmp_path: Path) -> None:
    clips = pd.concat([tiny_packed.tables()[0]] * 2, ignore_index=True)
    clips["clip_id"] = [f"{row:06d}" for row in range(len(clips))]
    clips["mirror_of"], clips["fps"] = None, 30.0
    data = Data()
    table = {"clips": tables.clip_table(clips, data.captions)}
    contract = next(c for c in check(table, ContractLimits())[0].contracts if c.column == "fps")
    assert contract.unexpected == 32
    assert contract.clips == tuple(f"{row:06d}" for row in range(20))


def test_chunks_do_not_change_the_statistics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Data()
    rng = np.random.default_rng(5)
    moving = data.features[:, : HUMANML3D.contacts.start]
    moving += rng.normal(0, 0.01, moving.shape).astype(np.float32)
    np.save(tmp_path / "features.npy", data.features)
    whole = tables.feature_table(tmp_path / "features.npy", data.clips)
    monkeypatch.setattr(tables, "CHUNK_FRAMES", 60)
    pd.testing.assert_frame_equal(whole, tables.feature_table(tmp_path / "features.npy", data.clips))


def test_a_dataset_without_any_tokens_is_accepted_but_a_missing_one_is_not(tmp_path: Path) -> None:
    data = Data()
    data.captions["tokens"] = ""
    assert broken(data.check(tmp_path, "captions")) == {}
    data.captions.loc[4:, "tokens"] = "a/DET"
    assert "captions.tokens" in broken(data.check(tmp_path, "captions"))


def test_results_are_plain_and_repeatable(tmp_path: Path) -> None:
    data = Data()
    list_twice(data)
    assert as_record(data.check(tmp_path, "split"), ContractLimits()) == as_record(
        data.check(tmp_path, "split"), ContractLimits()
    )


@pytest.mark.parity
def test_real_clips_keep_the_feature_contracts(tmp_path: Path, shared: Path) -> None:
    arrays = [
        np.load(path).astype(np.float32)
        for path in sorted((shared / "data" / "features_263").glob("*0*.npy"))
    ]
    lengths = [len(array) for array in arrays]
    np.save(tmp_path / "features.npy", np.concatenate(arrays))
    clips = pd.DataFrame(
        {"clip_id": range(len(arrays)), "frames": lengths, "offset": np.cumsum([0, *lengths[:-1]])}
    )
    table = tables.feature_table(tmp_path / "features.npy", clips)
    limits = ContractLimits()
    assert (table[["missing_frames", "non_finite", "odd_contacts"]] == 0).all(axis=None)
    assert table["bone_drift"].max() < limits.bone_drift / 100
    assert table["root_low"].min() > limits.root_height[0]
    assert table["root_high"].max() < limits.root_height[1]
