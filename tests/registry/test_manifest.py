"""Lists of files with digests, and what may lie in a bundle."""

from pathlib import Path

import pytest

from hmu_tasks.registry.manifest import check_bundle_files, compare, digests
from hmu_tasks.runtime.errors import WeightsError


def test_changed_missing_and_added_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.json", "sub/b.json", "c.json"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    before = digests(tmp_path)
    assert list(before) == ["a.json", "c.json", "sub/b.json"]
    assert compare(before, digests(tmp_path)).lines == []
    (tmp_path / "sub" / "b.json").write_text("other", encoding="utf-8")
    (tmp_path / "c.json").unlink()
    (tmp_path / "d.json").touch()
    assert compare(before, digests(tmp_path)).lines == [
        "sub/b.json is not the file that was registered",
        "c.json is missing",
        "d.json was added after registration",
    ]


@pytest.mark.parametrize("name", ["model.pkl", "model.pt", "code.py", "archive.npz", "mean.npy"])
def test_a_bundle_holds_weights_and_text_only(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    check_bundle_files(tmp_path)
    (tmp_path / name).touch()
    with pytest.raises(WeightsError, match=name):
        check_bundle_files(tmp_path)
