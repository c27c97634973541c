"""The forget and retain id lists have one writer and one reader."""

import re
from pathlib import Path

import pytest
from modules import PACKAGE

from hmu_tasks.data.clips.id_lists import id_list, read_ids, write_ids
from hmu_tasks.runtime.errors import DataError


@pytest.mark.parametrize(
    "ids", [[], ["000001"], ["humanml/000123"], ["a b", "line\u2028end", "next\x85line"]]
)
def test_lists_round_trip(tmp_path: Path, ids: list[str]) -> None:
    write_ids(tmp_path, "val", "retain", ids)
    assert read_ids(tmp_path, "val", "retain") == ids
    assert id_list(tmp_path, "val", "retain").name == "val-retain.txt"


def test_a_missing_or_binary_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train-forget\.txt is missing; run the filter step first"):
        read_ids(tmp_path, "train", "forget")
    id_list(tmp_path, "train", "forget").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"train-forget\.txt is not UTF-8 text"):
        read_ids(tmp_path, "train", "forget")


def test_no_other_module_builds_the_file_name() -> None:
    named = re.compile(r"-(forget|retain|\{role\}|\{side\}|\{name\})\.txt")
    found = [path.name for path in PACKAGE.rglob("*.py") if named.search(path.read_text(encoding="utf-8"))]
    assert found == ["id_lists.py"]
