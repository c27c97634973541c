"""Official checkpoints go through codebook, LCR, evaluation and report, and nothing is trained."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from official_tree import (
    EVALUATOR,
    MASK,
    PARAMS,
    RVQ,
    bamm,
    evaluator,
    tokenizer,
    write_glove,
    write_official,
)
from tiny_clip import write_clip
from tiny_world import ROOT, overlaid, tiny_params

from hmu_tasks import codebook, evaluate, ingest, report, train, unlearn, validate
from hmu_tasks import filter as divide
from hmu_tasks.config.params import Params
from hmu_tasks.models import model_named
from hmu_tasks.models.evaluators.evaluator import load_evaluator
from hmu_tasks.models.evaluators.words import load_words
from hmu_tasks.models.generators.bundle import load_bundle
from hmu_tasks.models.generators.length import load_length
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.text.embeddings import padded
from hmu_tasks.models.tokenizer.tokenizer import load_tokenizer
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ConfigError, WeightsError

CPU = torch.device("cpu")
TRANSFORMERS = ("base-momask", "residual")


def knobs(**pretrained: Any) -> Params:
    changes: dict[str, Any] = {
        "filter": {"concepts": str(ROOT / "hmu_tasks/data/concepts/concepts.yaml")},
        "validate": {"forget_share": [0.02, 0.6]},
        "train": overlaid(PARAMS, {"pretrained": pretrained}),
        "unlearn": {"lcr": {"strengths": [0, 3], "seeds": [0, 1], "layers": [0, 1, 2]}},
    }
    return tiny_params(changes)


def run_from_checkpoints(params: Params) -> None:
    ingest.run(params)
    divide.run(params)
    validate.run(params)
    cells = [
        ("text", None),
        *(("tokenizer", v) for v in train.VARIANTS),
        ("evaluator", None),
        *((name, v) for name in TRANSFORMERS for v in train.VARIANTS),
        ("classifier", None),  # learns from motions that the others generate
    ]
    for component, variant in cells:
        train.run(params, component, variant)
    codebook.run(params)
    for method in ("original", "retrain", "lcr"):
        unlearn.run(params, "momask", method)
    for model, method in (("real", "real"), *(("momask", m) for m in ("original", "retrain", "lcr"))):
        evaluate.run(params, model, method)
    report.run(params)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every step has run on made-up checkpoints, without D_r."""
    folder = tmp_path_factory.mktemp("pretrained")
    write_official(folder / "raw/checkpoints")
    write_clip(folder / "raw/clip")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_from_checkpoints(knobs())
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_bundle_is_the_checkpoints(root: Path) -> None:
    bundle = load_bundle(root / paths.edits("momask", "original") / "s0", CPU)
    official = tokenizer()
    for name, tensor in bundle.model.tokenizer.network.state_dict().items():
        assert torch.equal(tensor, official.state_dict()[name]), name
    published = root / "raw/checkpoints" / RVQ
    np.testing.assert_array_equal(bundle.model.tokenizer.std.numpy(), np.load(published / "meta/std.npy"))
    length = load_length(root / paths.edits("momask", "original") / "s0/text", CPU)
    assert length is not None
    assert length(bundle.text.encode(["a man kicks"])[0]).shape == (1, 50)


def test_the_lineage_names_every_file_by_its_digest(root: Path) -> None:
    lineage = read(root / paths.edits("momask", "original") / "s0/bundle.json")["lineage"]
    assert set(lineage["sources"]) == set(model_named("momask").parts)
    files = lineage["sources"]["tokenizer"]["files"]
    assert set(files) == {
        f"{RVQ}/{n}" for n in ("model/net_best_fid.tar", "opt.txt", "meta/mean.npy", "meta/std.npy")
    }
    for name, digest in files.items():
        assert hashlib.sha256((root / "raw/checkpoints" / name).read_bytes()).hexdigest() == digest
    bundles = root / paths.edits("momask", "original")
    assert not list(bundles.rglob("source.json"))


def test_the_evaluator_reads_motions_with_its_own_statistics_and_captions_with_glove(root: Path) -> None:
    folder = root / paths.component("evaluator")
    network, _, std, max_words = load_evaluator(folder, CPU)
    for name, tensor in evaluator().state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor), name
    np.testing.assert_array_equal(
        std.numpy(), np.load(root / "raw/checkpoints/t2m/Comp_v6_KLD005/meta/std.npy")
    )
    assert max_words == 20
    words = load_words(folder)
    assert words.look_up("kick", "NOUN")[1] == "Act_VIP"
    assert f"{EVALUATOR}/model/finest.tar" in read(folder / "source.json")["files"]


def test_every_figure_is_there_and_nothing_was_trained(root: Path) -> None:
    table = pd.read_csv(root / "reports/benchmark.csv")
    assert set(table["method"]) == {
        *("real", "fresh-real", "reconstruction-full", "resampled", "original", "lcr")
    }
    lcr = table[(table["method"] == "lcr") & (table["split"] == "forget")]
    assert {"fid", "kid", "r1", "r3", "mm_dist", "mm_safe", "diversity", "multimodality"} <= set(
        lcr["metric"]
    )
    assert not table["metric"].str.startswith("gap_closure").any()
    for history in (root / paths.TRAIN).rglob("history.csv"):
        rows = pd.read_csv(history)
        assert rows.empty == (history.parent.name != "classifier"), history
    usage = pd.read_parquet(root / paths.codebook() / "usage.parquet")
    assert len(usage) == 3 * 24


def test_without_a_retrained_model_the_report_says_why_no_gap_is_closed(root: Path) -> None:
    selection = read(root / paths.evaluation("momask", "lcr") / "selection.json")
    assert selection["closure"] is None
    assert selection["metric"] == "strength"
    reason = "no gap closure because there is no D_r: no model retrained on the retain set is published"
    assert reason in selection["reason"]
    assert reason in " ".join((root / "reports/tables.txt").read_text(encoding="utf-8").split())
    assert read(root / paths.evaluation("momask", "retrain") / "metrics.json") == []


@pytest.fixture
def fresh(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the data and the checkpoints, with the text encoder and the original's tokenizer imported."""
    for name in ("data", "raw", "runs/train/0/text", "runs/train/0/tokenizer-full"):
        shutil.copytree(root / name, tmp_path / "work" / name)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def test_bamm_comes_from_its_checkpoint_too(fresh: Path) -> None:
    params = knobs()
    for component in ("base-bamm", "residual"):
        train.run(params, component, "full")
    unlearn.run(params, "bamm", "original")
    bundle = load_bundle(paths.edits("bamm", "original") / "s0", CPU)
    for name, tensor in bamm().state_dict().items():
        assert torch.equal(bundle.model.base.state_dict()[name], tensor), name  # type: ignore[attr-defined]
    (motion,) = bundle.model.generate(
        padded(bundle.text.encode(["a man kicks"])),
        [40],
        sampling=Sampling(),
        generator=torch.Generator().manual_seed(0),
    )
    assert motion.shape == (40, 263)


def test_the_retrained_model_from_a_folder_of_the_users_own(fresh: Path) -> None:
    write_official(fresh / "raw/checkpoints/mine")
    params = knobs(retrain="mine")
    for component in ("tokenizer", *TRANSFORMERS):
        train.run(params, component, "retrain")
    unlearn.run(params, "momask", "retrain")
    lineage = read(paths.edits("momask", "retrain") / "s0/bundle.json")["lineage"]
    assert f"mine/{RVQ}/model/net_best_fid.tar" in lineage["sources"]["tokenizer"]["files"]
    with pytest.raises(WeightsError, match="raw/checkpoints/yours is not a folder"):
        train.run(knobs(retrain="yours"), "tokenizer", "retrain")


def test_the_retrained_model_can_be_trained_here(fresh: Path) -> None:
    params = knobs(retrain="train")
    train.run(params, "tokenizer", "retrain")
    folder = paths.component("tokenizer", "retrain")
    assert not pd.read_csv(folder / "history.csv").empty
    assert not (folder / "source.json").exists()
    assert load_tokenizer(folder, CPU).codebooks.shape == (
        2,
        16,
        8,
    )  # as params.yaml says, not as opt.txt does


def test_what_cannot_be_imported_leaves_nothing_behind(fresh: Path) -> None:
    (fresh / "raw/checkpoints" / MASK / "opt.txt").unlink()
    with pytest.raises(WeightsError, match=r"opt\.txt is missing"):
        train.run(knobs(), "base-momask", "full")
    write_glove(fresh / "raw/checkpoints/glove", ["sos", "eos", "unk"])
    np.save(fresh / "raw/checkpoints/glove/our_vab_data.npy", np.zeros((3, 5)))
    with pytest.raises(WeightsError, match=r"has word vectors of width 5, but .* reads 6"):
        train.run(knobs(), "evaluator", None)
    made = sorted(path.name for path in paths.component("text").parent.iterdir())
    assert made == ["text", "tokenizer-full"]


def test_components_that_are_absent_say_so_when_they_are_wanted(root: Path) -> None:
    with pytest.raises(WeightsError, match=r"tokenizer-retrain holds no network: no model retrained"):
        load_tokenizer(root / paths.component("tokenizer", "retrain"), CPU)


def test_the_mode_needs_clip(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"train: mode pretrained needs text\.encoder clip"):
        tiny_params({"train": {"mode": "pretrained"}})
