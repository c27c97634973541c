"""Hand-labelled captions: the fixture's format, the weights, and precision and recall of both rules."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
STRATA = {"both", "substring-only", "lemma-only", "sibling", "strong", "weak", "rest"}


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))  # the script imports its sibling, as when run directly
    try:
        spec = importlib.util.spec_from_file_location("filter_annotated", BENCHMARKS / "filter_annotated.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


@pytest.fixture(scope="module")
def annotated(benchmark: ModuleType) -> pd.DataFrame:
    return benchmark.read_annotated(benchmark.ANNOTATED)


def test_the_sample_is_large_and_well_formed(annotated: pd.DataFrame) -> None:
    assert not annotated.duplicated(["dataset", "clip_id", "line"]).any()
    assert set(annotated["dataset"]) == {"humanml3d", "kitml"}
    assert set(annotated["half"]) == {"tune", "report"}
    assert set(annotated["stratum"]) == STRATA
    assert annotated["stratum"].isin(["both", "substring-only", "lemma-only"]).sum() >= 150
    assert len(annotated) == 430
    assert annotated["digest"].str.fullmatch("[0-9a-f]{10}").all()
    assert annotated["reason"].str.fullmatch("[a-z-]{4,12}").all()  # one of our own words, not a caption
    size = annotated.groupby(["dataset", "stratum"])["stratum_size"]
    assert (size.min() == size.max()).all()
    assert (size.size() <= size.first()).all()


def test_a_reason_belongs_to_one_verdict(annotated: pd.DataFrame) -> None:
    verdicts = annotated.groupby("reason")["violent"]
    assert (verdicts.min() == verdicts.max()).all()


def test_weights_of_each_half_add_up_to_the_strata(annotated: pd.DataFrame) -> None:
    for (_, _, _), part in annotated.groupby(["dataset", "stratum", "half"]):
        assert part["weight"].sum() == pytest.approx(part["stratum_size"].iloc[0])


def test_weighted_share_is_wilsons_where_weights_are_equal(benchmark: ModuleType) -> None:
    from hmu_tasks.metrics.stats import wilson_interval

    good = np.array([True] * 9 + [False])
    assert benchmark.weighted_share(good, np.full(10, 3.5)) == wilson_interval(9, 10)
    # One caption that represents 91 others carries little information: effective sample size 1.2.
    lopsided = benchmark.weighted_share(good, np.array([1.0] * 9 + [91.0]))
    assert lopsided.mean == pytest.approx(0.09)
    assert lopsided.high > 0.7
    assert benchmark.weighted_share(np.zeros(0, bool), np.zeros(0)) is None


@pytest.mark.parity
def test_precision_and_recall_on_real_captions(
    benchmark: ModuleType, annotated: pd.DataFrame, shared: Path, kit_texts: Path
) -> None:
    sources = {
        "humanml3d": shared / "data" / "captions" / "humanml3d_captions_dev.parquet",
        "kitml": kit_texts,
    }
    rows = benchmark.with_hits(
        annotated, {name: benchmark.read_texts(path) for name, path in sources.items()}
    )
    assert len(rows) == len(annotated)
    held_out = rows[rows["half"] == "report"]
    published, cleaner = (benchmark.quality(held_out, rule) for rule in ("substring", "lemma"))
    assert published["precision"].mean == pytest.approx(0.881, abs=0.005)
    assert published["recall"].mean == pytest.approx(0.819, abs=0.005)
    assert cleaner["precision"].mean > 0.95
    assert cleaner["recall"].mean > 0.88
    assert "| all | report | lemma | 9" in benchmark.tables(rows)


@pytest.mark.parity
def test_a_caption_other_than_the_labelled_one_is_refused(
    benchmark: ModuleType, annotated: pd.DataFrame, shared: Path
) -> None:
    from hmu_tasks.runtime.errors import DataError

    captions = benchmark.read_texts(shared / "data" / "captions" / "humanml3d_captions_dev.parquet")
    captions.loc[captions["clip_id"] == "001707", "caption"] = "a person sings"
    with pytest.raises(DataError, match="caption 0 of clip 001707 is missing or is not the annotated one"):
        benchmark.with_hits(annotated, {"humanml3d": captions})
