"""Step validate: the record, the site and the error."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_packed
import tiny_raw

from hmu_tasks import validate
from hmu_tasks.data.clips.packed import read_table
from hmu_tasks.data.contracts.expectations import ContractLimits
from hmu_tasks.data.motion.layout import KITML
from hmu_tasks.filter import filter_folder
from hmu_tasks.ingest import ingest
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ContractError, DataError
from hmu_tasks.runtime.foreign import RECORDING
from hmu_tasks.validate import validate_folders


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with valid clips/ and split/."""
    folder = tmp_path_factory.mktemp("valid")
    tiny_packed.write(folder / "clips", *tiny_packed.tables(), tiny_packed.all_features())
    knobs = {"dataset": "synthetic", "concept": "violence", "rule": "lemma", "matches": 1}
    filter_folder(folder / "clips", folder / "split", **knobs)
    return folder


@pytest.fixture
def packed(valid: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(valid, tmp_path, dirs_exist_ok=True))


def run(folder: Path, limits: ContractLimits | None = None) -> dict[str, object]:
    site = folder / "site"
    return validate_folders(
        folder / "clips", folder / "split", folder / "validation.json", site, limits or ContractLimits()
    )


def test_valid_data_gives_a_record_and_a_site(packed: Path) -> None:
    record = run(packed)
    assert record["success"] is True
    assert json.loads((packed / "validation.json").read_text(encoding="utf-8")) == json.loads(
        json.dumps(record)
    )
    pages = sorted(path.name for path in (packed / "site").iterdir())
    assert pages == [
        "captions.html",
        "clips.html",
        "features.html",
        "index.html",
        "split.html",
        "validation.json",
    ]


def test_the_site_says_what_columns_hold_and_when_they_were_checked(packed: Path) -> None:
    run(packed)
    clips = (packed / "site" / "clips.html").read_text(encoding="utf-8")
    rows = len(read_table(packed / "clips" / "clips.parquet"))
    assert f"{rows} different" in clips  # ids
    assert "test: " in clips
    assert "train: " in clips
    assert '<td class="small"></td>' not in clips
    with pytest.raises(ContractError):
        run(packed, ContractLimits(forget_share=(0.9, 1.0)))
    index = (packed / "site" / "index.html").read_text(encoding="utf-8")
    before, _, latest = index.partition("Validations of this checkout")[2].partition("1 of ")
    assert "broken" in before  # the latest stands first
    assert "0 of " in latest
    history = packed / "site-history.jsonl"
    history.write_bytes(history.read_bytes() + b"{torn\n[1]\n\xe9\n")
    run(packed)
    assert len(history.read_text(encoding="utf-8").splitlines()) == 3


def test_packed_features_may_be_larger_than_any_motion(packed: Path) -> None:
    place = packed / "clips" / "features.npy"
    features = np.load(place)
    frames = RECORDING // features[0].nbytes + 1
    larger = np.lib.format.open_memmap(place, "w+", np.float32, (frames, features.shape[1]))  # a sparse file
    larger[: len(features)] = features
    larger.flush()
    assert place.stat().st_size > RECORDING
    assert run(packed)["success"] is True


def test_the_same_data_gives_the_same_bytes(packed: Path) -> None:
    """All but the overview, which lists when this checkout was validated and is no output of the pipeline."""
    run(packed)
    pages = [path for path in (packed / "site").iterdir() if path.name != "index.html"]
    first = {path: path.read_bytes() for path in [packed / "validation.json", *pages]}
    run(packed)
    assert len(first) > 5
    assert first == {path: path.read_bytes() for path in first}
    assert not re.search(
        r"\d{4}-\d\d-\d\d|[0-9a-f]{8}-[0-9a-f]{4}", (packed / "validation.json").read_text("utf-8")
    )


def test_the_site_refers_to_nothing_outside(packed: Path) -> None:
    run(packed)
    for page in (packed / "site").glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"https?:|//[a-z]|@import|url\(|<script|<img|<link", text)
        for target in re.findall(r'href="([^"]+)"', text):
            assert (packed / "site" / target).is_file()


def test_a_broken_contract_stops_with_a_table_after_the_site_is_written(packed: Path) -> None:
    features = tiny_packed.all_features()
    features[2 * tiny_packed.FRAMES + 3, 50] = np.nan
    np.save(packed / "clips" / "features.npy", features)
    with pytest.raises(ContractError) as caught:
        run(packed)
    message = str(caught.value)
    for part in (
        "1 of 25 data contracts",
        "all features are finite",
        "non_finite",
        "1 of 16",
        "000002",
        "index.html",
    ):
        assert part in message
    assert not (packed / "validation.json").exists()
    record = json.loads((packed / "site" / "validation.json").read_text(encoding="utf-8"))
    assert record["success"] is False
    page = (packed / "site" / "features.html").read_text(encoding="utf-8")
    assert "✗ broken" in page
    assert "000002" in page
    assert "1 of 25" in (packed / "site" / "index.html").read_text(encoding="utf-8")


def test_a_share_out_of_range_reports_the_observed_value(packed: Path) -> None:
    with pytest.raises(ContractError, match=r"observed 0\.25"):
        run(packed, ContractLimits(forget_share=(0.3, 0.4)))


def test_captions_are_escaped_in_the_site(packed: Path) -> None:
    _, captions = tiny_packed.tables()
    captions.loc[0, "clip_id"] = "<b>x</b>"
    captions.to_parquet(packed / "clips" / "captions.parquet", index=False)
    with pytest.raises(ContractError):
        run(packed)
    page = (packed / "site" / "captions.html").read_text(encoding="utf-8")
    assert "<b>x" not in page
    assert "&lt;b&gt;x" in page


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clips/clips.parquet", "run the ingest step"),
        ("clips/captions.parquet", "run the ingest step"),
        ("clips/features.npy", "run the ingest step"),
        ("split/val-retain.txt", "run the filter step"),
    ],
)
def test_missing_and_damaged_files_are_named(packed: Path, name: str, message: str) -> None:
    path = packed / name
    if not name.endswith(".txt"):
        path.write_bytes(path.read_bytes()[:40])
        with pytest.raises(DataError, match=path.name):
            run(packed)
    path.unlink()
    with pytest.raises(DataError, match=f"{path.name} is missing; {message}"):
        run(packed)


def test_features_of_another_width_are_refused(packed: Path) -> None:
    np.save(packed / "clips" / "features.npy", np.zeros((10, 251), np.float32))
    with pytest.raises(DataError, match=r"\(10, 251\)"):
        run(packed)


@pytest.fixture(scope="module")
def valid_kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """KIT-ML, ingested and filtered."""
    folder = tmp_path_factory.mktemp("kit")
    raw = tiny_raw.write_kitml(folder / "raw")
    ingest(raw, folder / "clips", dataset="kitml", min_frames=24)
    knobs = {"dataset": "kitml", "concept": "violence", "rule": "substring", "matches": 1}
    filter_folder(folder / "clips", folder / "split", **knobs)
    return folder


@pytest.fixture
def kit(valid_kit: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(valid_kit, tmp_path, dirs_exist_ok=True))


KIT = ContractLimits(frames=(24, 200), fps=12.5, width=251, forget_share=(0.1, 0.5))


def test_kit_clips_keep_the_contracts_of_their_own_body(kit: Path) -> None:
    assert run(kit, KIT)["success"] is True
    features = np.load(kit / "clips" / "features.npy")
    features[30:33, KITML.local_positions][:, -1] += 200.0  # units of the body model: 0.3 m
    features[60, KITML.root][3] = -10.0
    np.save(kit / "clips" / "features.npy", features)
    with pytest.raises(
        ContractError, match=r"(?s)2 of 25 data contracts.*never sinks below.*bones keep"
    ) as caught:
        run(kit, KIT)
    assert "M00000" in str(caught.value)


@pytest.mark.parametrize(
    ("limits", "match"),
    [
        (replace(KIT, fps=20.0), "clips run at 20 frames per second"),
        (replace(KIT, frames=(40, 200)), "clips have 40 to 199 frames"),
        (replace(KIT, frames=(24, 30)), "clips have 24 to 29 frames"),
    ],
)
def test_limits_are_those_of_the_dataset(kit: Path, limits: ContractLimits, match: str) -> None:
    with pytest.raises(ContractError, match=match):
        run(kit, limits)


def test_features_of_another_representation_are_refused(kit: Path) -> None:
    with pytest.raises(DataError, match=r"251\); expected \[frames, 263\]"):
        run(kit, replace(KIT, width=263))


def test_a_dataset_without_twins_has_no_contracts_for_them(packed: Path) -> None:
    record = run(packed, ContractLimits(mirrored=False))
    columns = {c["column"] for suite in record["suites"] for c in suite["contracts"]}  # type: ignore[attr-defined]
    assert len(columns) > 15
    assert not any("twin" in column for column in columns)


def test_missing_tokens_are_allowed_if_the_dataset_says_so(packed: Path) -> None:
    _, captions = tiny_packed.tables()
    captions.loc[4:, "tokens"] = ""
    captions.to_parquet(packed / "clips" / "captions.parquet", index=False)
    with pytest.raises(ContractError, match="tokens"):
        run(packed)
    assert run(packed, ContractLimits(tagged=False))["success"] is True


def test_the_step_uses_params_and_the_projects_paths(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hmu_tasks.config.params import load

    params = load(Path(__file__).resolve().parents[1] / "params.yaml")
    monkeypatch.chdir(packed)
    Path("data").mkdir()
    (packed / "clips").rename(paths.CLIPS)
    (packed / "split").rename(paths.SPLIT)
    done: list[int] = []
    assert validate.run(params, lambda now, total: done.append(now)) == paths.VALIDATION
    limits = json.loads(paths.VALIDATION.read_text(encoding="utf-8"))["limits"]
    assert limits["bone_drift"] == params.validate_.bone_drift
    assert limits["frames"] == [params.ingest.min_frames, params.ingest.max_frames]
    assert (paths.VALIDATION_SITE / "index.html").is_file()
    assert done[-1] == 16
