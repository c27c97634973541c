"""The selected strength has one reader: what it says where something is missing."""

from pathlib import Path

import pytest

from hmu_tasks.evaluation.selected import selected_edits, selected_strength
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import write_json


def edit(strength: int | None, seed: int) -> None:
    name = f"s{seed}" if strength is None else f"strength{strength:03d}-s{seed}"
    write_json(paths.edits("momask", "lcr") / name / "edit.json", {"strength": strength, "seed": seed})


def test_edits_of_the_selected_strength_by_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="holds no edit"):
        selected_edits("momask", "lcr")
    for seed in (10, 2):
        edit(4, seed)
        edit(8, seed)
    with pytest.raises(DataError, match=r"selection\.json is missing; run `dvc repro`"):
        selected_edits("momask", "lcr")
    place = paths.evaluation("momask", "lcr") / "selection.json"
    write_json(place, {"strength": 8, "eligible": True, "reason": "largest"})
    assert list(selected_edits("momask", "lcr")) == ["strength008-s2", "strength008-s10"]
    write_json(place, {"strength": 16, "eligible": True, "reason": "largest"})
    with pytest.raises(DataError, match="names strength 16, which no edit has"):
        selected_edits("momask", "lcr")


def test_a_method_without_strengths_has_nothing_to_select(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    edit(None, 0)
    assert list(selected_edits("momask", "lcr")) == ["s0"]
    assert selected_strength("momask", "lcr", strengths=False).strength is None
