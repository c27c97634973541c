"""Step filter: the forget and retain lists, and filter.json."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_packed

from hmu_tasks.data.concepts.concepts import load_concept
from hmu_tasks.data.division.partition import filter_clips
from hmu_tasks.filter import filter_folder
from hmu_tasks.runtime.errors import ConfigError, DataError

KNOBS = {"dataset": "synthetic", "concept": "violence", "rule": "lemma", "matches": 1}


def ids(folder: Path, name: str) -> list[str]:
    return (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture
def clips_folder(tmp_path: Path) -> Path:
    return tiny_packed.write(tmp_path / "clips", *tiny_packed.tables(), tiny_packed.standing())


def test_lists_are_sorted_disjoint_and_exhaustive(clips_folder: Path, tmp_path: Path) -> None:
    filter_folder(clips_folder, tmp_path / "split", **KNOBS)
    clips, _ = tiny_packed.tables()
    assert ids(tmp_path / "split", "train-forget") == ["000001", "M000001"]
    assert ids(tmp_path / "split", "val-forget") == ["000005", "M000005"]
    for split in ("train", "val", "test"):
        forget, retain = (ids(tmp_path / "split", f"{split}-{side}") for side in ("forget", "retain"))
        assert sorted(forget + retain) == sorted(clips.loc[clips["split"] == split, "clip_id"])
        assert forget == sorted(forget)
        assert retain == sorted(retain)


def test_same_inputs_give_the_same_bytes(clips_folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        filter_folder(clips_folder, tmp_path / name, **KNOBS)
    first = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    assert len(first) == 7


def test_filter_json_compares_the_rules(tmp_path: Path) -> None:
    said = dict(tiny_packed.SAID)
    said["walk"] = [
        ("a man jogs whith swinging arms", "a/DET man/NOUN jog/VERB whith/X swing/VERB arm/NOUN"),
        ("he boxes up books", ""),
    ]
    clips, captions = tiny_packed.tables(said)
    said_once = captions["clip_id"].isin(["000002", "M000002"]) | captions["caption"].str.contains(
        "Kicks|angry"
    )
    captions = captions[said_once | captions["caption"].str.contains("boxes")]
    captions.loc[captions["caption"].str.contains("boxes"), "caption"] = "he stands"
    result = filter_clips(captions, clips, load_concept("violence"), "synthetic", rule="lemma", matches=1)
    summary = result.summary
    assert summary["rules"]["lemma"]["splits"]["all"] == {
        "clips": 16,
        "forget": 6,
        "retain": 10,
        "share": 0.375,
    }
    assert summary["rules"]["substring"]["splits"]["all"]["forget"] == 8
    assert summary["rules"]["substring"]["keywords"]["hit"] == {"captions": 2, "clips": 2}
    assert summary["disagreement"]["clips_only_substring"] == 2
    assert summary["disagreement"]["sample"] == [
        {
            "clip_id": "000002",
            "line": 0,
            "caption": "a man jogs whith swinging arms",
            "only": "substring",
            "keywords": ["hit"],
        }
    ]
    assert summary["disagreement"]["captions_only_substring"] == 2
    assert summary["disagreement"]["captions_only_lemma"] == 0
    assert summary["rules"]["substring"]["captions"] == 8
    assert summary["captions_of_forget_clips"] == {"captions": 12, "without_keyword": 6, "share": 0.5}
    assert summary["twins_apart"] == []


def test_the_sample_depends_on_the_seed_only(tmp_path: Path) -> None:
    clips, captions = tiny_packed.tables()
    captions.loc[captions["caption"] != "A man Kicks the bag.", "caption"] = "whith"
    samples = [
        filter_clips(
            captions, clips, load_concept("kick"), "synthetic", rule="lemma", matches=1, seed=seed
        ).summary
        for seed in (1, 1)
    ]
    assert samples[0] == samples[1]


def test_filter_json_reports_harmless_phrases_and_misspellings() -> None:
    clips, captions = tiny_packed.tables()
    said = captions["clip_id"].isin(["000002", "M000002"]) & (captions["caption"] == "a person walks")
    captions.loc[said, ["caption", "tokens"]] = ["he kicks a ball", ""]
    captions.loc[captions["clip_id"] == "000003", ["caption", "tokens"]] = ["he is fightig, he kciks", ""]
    summary = filter_clips(
        captions, clips, load_concept("violence"), "humanml3d", rule="lemma", matches=1
    ).summary
    assert summary["harmless"] == {"kick": 2}
    assert summary["spellings"] == {
        "fightig": {"keyword": "fight", "captions": 2},
        "kciks": {"keyword": "kick", "captions": 2},
    }
    assert summary["disagreement"]["clips_only_lemma"] == 1
    assert summary["captions"] == len(captions)


def test_a_custom_concept(clips_folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "anger: {description: d, substring: {default: [angry]}, lemma: {default: [angry]}}\n",
        encoding="utf-8",
    )
    filter_folder(clips_folder, tmp_path / "split", **{**KNOBS, "concept": "anger", "concepts": own})
    assert ids(tmp_path / "split", "train-forget") == ["000001", "M000001"]


def test_a_mirrored_twin_with_other_captions_is_reported() -> None:
    clips, captions = tiny_packed.tables()
    twin = captions["clip_id"] == "M000001"
    captions.loc[twin, ["caption", "tokens"]] = ["a person stands", ""]
    result = filter_clips(captions, clips, load_concept("violence"), "synthetic", rule="lemma", matches=1)
    assert result.summary["twins_apart"] == ["M000001"]


def test_clips_cut_from_one_raw_clip_stay_together() -> None:
    clips, captions = tiny_packed.tables()
    clips.loc[clips["clip_id"] == "000002", "source"] = "000001"
    result = filter_clips(captions, clips, load_concept("violence"), "synthetic", rule="substring", matches=1)
    assert result.forget["train"] == ("000001", "000002", "M000001")


def test_a_clip_without_captions_is_retained() -> None:
    clips, captions = tiny_packed.tables()
    captions = captions[captions["clip_id"] != "000003"]
    result = filter_clips(captions, clips, load_concept("violence"), "synthetic", rule="lemma", matches=1)
    assert "000003" in result.retain["train"]


def test_an_empty_forget_set_says_what_to_change(clips_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        filter_folder(clips_folder, tmp_path / "split", **{**KNOBS, "concept": "zombie", "rule": "substring"})
    message = str(caught.value)
    for part in (
        "train split",
        "'zombie'",
        "'substring'",
        "'synthetic'",
        "zombie, dead",
        "filter.matches",
        "run.concept",
    ):
        assert part in message
    assert not (tmp_path / "split").exists()


def test_more_matches_than_captions_say_so(clips_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no clip has 5 matching"):
        filter_folder(clips_folder, tmp_path / "split", **{**KNOBS, "matches": 5})


def test_an_empty_retain_set_is_an_error() -> None:
    clips, captions = tiny_packed.tables()
    captions["caption"], captions["tokens"] = "kick", ""
    with pytest.raises(DataError, match="nothing to retain in the train split"):
        filter_clips(captions, clips, load_concept("violence"), "synthetic", rule="lemma", matches=1)


def test_missing_or_damaged_files_and_unknown_concepts_are_named(clips_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run the ingest step"):
        filter_folder(tmp_path / "nothing", tmp_path / "split", **KNOBS)
    with pytest.raises(ConfigError, match="violense"):
        filter_folder(clips_folder, tmp_path / "split", **{**KNOBS, "concept": "violense"})
    (clips_folder / "captions.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(DataError, match=r"captions\.parquet is damaged .* run the ingest step again"):
        filter_folder(clips_folder, tmp_path / "split", **KNOBS)


@pytest.mark.slow
@pytest.mark.parity
def test_mirrored_twins_of_real_captions_stay_with_their_originals(kit_texts: Path) -> None:
    import pandas as pd

    table = Path(__file__).resolve().parents[1] / "benchmarks" / "filter_table.py"
    rows = [
        (path.stem, *line.split("#")[:2])
        for path in sorted(kit_texts.glob("*.txt"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    captions = pd.DataFrame(rows, columns=["clip_id", "caption", "tokens"])
    known = set(captions["clip_id"])
    names = sorted(known)
    clips = pd.DataFrame({"clip_id": names, "source": names})
    clips["split"] = [("train", "val", "test")[int(name.removeprefix("M")) % 3] for name in names]
    clips["mirror_of"] = [name[1:] if name.startswith("M") and name[1:] in known else None for name in names]
    for rule in ("substring", "lemma"):
        result = filter_clips(captions, clips, load_concept("violence"), "kitml", rule=rule, matches=1)
        assert result.summary["twins_apart"] == []
    told = subprocess.run(
        [sys.executable, table, kit_texts], capture_output=True, text=True, check=True, timeout=120
    )
    share = result.summary["rules"]["lemma"]["splits"]["all"]["forget"]
    assert str(share) in told.stdout
    assert json.dumps("kick")[1:-1] in told.stdout


def test_one_forget_clip_in_an_evaluated_split_is_too_few(tmp_path: Path) -> None:
    """The evaluation would refuse it after all training."""
    clips, captions = tiny_packed.tables()
    for split, lone in (("val", "000005"), ("test", "000007")):
        some = clips[clips["clip_id"] != f"M{lone}"]
        with pytest.raises(DataError, match=rf"only 1 clip to forget in the {split} split \({lone}\)"):
            filter_clips(captions, some, load_concept("violence"), "synthetic", rule="lemma", matches=1)
    some = clips[clips["clip_id"] != "M000001"]  # training takes what there is
    filter_clips(captions, some, load_concept("violence"), "synthetic", rule="lemma", matches=1)


def test_parts_are_checked_before_any_training(clips_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown concept 'kik' \(unlearn\.lcr\.parts\)"):
        filter_folder(clips_folder, tmp_path / "split", **KNOBS, parts=["kick", "kik"])
    with pytest.raises(DataError, match=r"unlearn\.lcr\.parts names wave, but no forget clip"):
        filter_folder(clips_folder, tmp_path / "split", **KNOBS, parts=["wave"])
    assert not (tmp_path / "split").exists()
    filter_folder(clips_folder, tmp_path / "split", **KNOBS, parts=["kick"])
