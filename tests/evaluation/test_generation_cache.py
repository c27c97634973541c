"""Codes that were drawn before come from the cache, whole or not at all."""

from pathlib import Path

import numpy as np
import pytest
from tiny_evaluation import CPU, EDITED, PROMPTS, bundle, same

from hmu_tasks.evaluation.generation import cached_codes
from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.models.generators.bundle import Bundle, load_bundle
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.runtime import paths

__all__ = ["bundle"]


def sample(bundle: Bundle, cache: Path, seed: int = 0, prompts: Prompts = PROMPTS) -> list[np.ndarray]:
    sampling = Sampling(steps=2, top_k=0.5)
    return cached_codes(bundle, prompts, sampling=sampling, seed=seed, batch=4, device=CPU, cache=cache)


def test_codes_from_the_cache_equal_drawn_ones(bundle: Bundle, tmp_path: Path) -> None:
    miss = sample(bundle, tmp_path / "a")
    assert [c.shape for c in miss] == [(10, 2), (15, 2), (10, 2)] * 2
    assert same(sample(bundle, tmp_path / "a"), miss)
    assert same(sample(bundle, tmp_path / "b"), miss)
    assert not same(sample(bundle, tmp_path / "a", seed=1), miss)
    assert len(list((tmp_path / "a").glob("codes-*"))) == 2


@pytest.mark.parametrize("damage", ["empty", "truncated", "foreign"])
def test_a_damaged_cache_file_is_drawn_anew(bundle: Bundle, tmp_path: Path, damage: str) -> None:
    expected = sample(bundle, tmp_path)
    (file,) = tmp_path.glob("codes-*")
    (texts,) = tmp_path.glob("text-*")
    whole = file.read_bytes()
    file.write_bytes({"empty": b"", "truncated": whole[:-3], "foreign": texts.read_bytes()}[damage])
    assert same(sample(bundle, tmp_path), expected)
    assert file.read_bytes() == whole


def test_edits_of_the_codebook_draw_nothing_of_their_own(bundle: Bundle, tmp_path: Path) -> None:
    codes = sample(bundle, tmp_path)
    files = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    edited = load_bundle(EDITED, CPU)
    assert same(sample(edited, tmp_path), codes)
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == files
    sample(load_bundle(paths.edits("momask", "retrain") / "s0", CPU), tmp_path)
    new = {p.name for p in tmp_path.iterdir()} - set(files)
    assert len(new) == 1  # codes of another model; the sentence vectors are those of the shared text encoder
    assert new.pop().startswith("codes-")
