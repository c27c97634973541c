"""The presets of real datasets match what was published and what each dataset's reader expects."""

import shutil
from pathlib import Path

import pytest

from hmu_tasks.config import presets
from hmu_tasks.config.params import Params, load
from hmu_tasks.data.datasets import dataset_named
from hmu_tasks.models.generators.bamm_base import BammConfig
from hmu_tasks.models.generators.masked import MaskTransformerConfig
from hmu_tasks.models.generators.residual import ResidualTransformerConfig
from hmu_tasks.models.tokenizer.rvq import TokenizerConfig
from hmu_tasks.runtime.addresses import found_at

ROOT = Path(__file__).resolve().parents[2]
REAL = {"humanml3d": 40, "humanml3d-amass": 40, "motionx": 24, "kitml": 24}
# The folder where it is not called as the dataset is.
SOURCES = {"humanml3d-amass": "amass"}


def applied(name: str, folder: Path) -> Params:
    """The project's params.yaml with a preset applied."""
    folder.mkdir(exist_ok=True)
    file = folder / "params.yaml"
    shutil.copy(ROOT / "params.yaml", file)
    presets.apply(name, file)
    return load(file)


@pytest.fixture(params=REAL)
def preset(request: pytest.FixtureRequest, tmp_path: Path) -> Params:
    return applied(request.param, tmp_path)


def test_a_preset_changes_its_own_lines_alone(tmp_path: Path) -> None:
    before = (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines()
    applied("seeds", tmp_path)
    after = (tmp_path / "params.yaml").read_text(encoding="utf-8").splitlines()
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    ((was, now),) = changed
    assert "trainings: [0, 1, 2, 3, 4]" in now
    assert now.partition("#")[2] == was.partition("#")[2]


def test_presets_follow_one_another_and_lists_of_one_entry_a_line(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    for listed in ("[16, 32, 64, 96, 128]", "[64, 96, 128, 160]", "[0, 1, 2, 3]"):
        entries = "".join(f"\n    - {entry}" for entry in listed.strip("[]").split(", "))
        line = next(line for line in text.splitlines() if listed in line)
        before, comment = line.split(listed)
        text = text.replace(line, f"{before.rstrip()} {comment.strip()}{entries}")
    file.write_text(text, encoding="utf-8")
    load(file)
    for name in ("smoke", "seeds", "smoke"):
        presets.apply(name, file)
    found, expected = load(file), applied("smoke", tmp_path / "whole")
    assert found.unlearn == expected.unlearn
    assert found.run.trainings == [0, 1, 2, 3, 4]
    comments = [line.partition("#")[2] for line in file.read_text(encoding="utf-8").splitlines()]
    assert [c for c in comments if c] == [c for line in text.splitlines() if (c := line.partition("#")[2])]


@pytest.mark.parametrize("name", REAL)
def test_length_limits_are_those_of_the_official_loader(name: str, tmp_path: Path) -> None:
    preset = applied(name, tmp_path)
    assert preset.ingest.source == Path("data/raw") / SOURCES.get(name, name)
    dataset = dataset_named(preset.run.dataset)
    assert dataset.writer is None
    assert dataset.finder is not None
    assert callable(found_at(dataset.finder))
    assert (preset.ingest.min_frames, preset.ingest.max_frames) == (REAL[name], 200)
    assert (preset.filter.rule, preset.filter.matches) == ("substring", 1)


def test_sizes_are_the_published_ones(preset: Params) -> None:
    """They equal the defaults of the networks' configurations, which match the official checkpoints."""
    train = preset.train
    tokenizer = TokenizerConfig()
    for name in ("width", "code_width", "codes", "quantizers", "depth", "dropout", "positions_weight"):
        assert getattr(train.tokenizer, name) == getattr(tokenizer, name), name
    assert train.tokenizer.sample_temperature == tokenizer.sample_temperature
    assert (train.tokenizer.window, train.tokenizer.batch, train.tokenizer.feature_bias) == (64, 256, 25)
    for knobs, config in (
        (train.base.momask, MaskTransformerConfig()),
        (train.base.bamm, BammConfig()),
        (train.residual, ResidualTransformerConfig()),
    ):
        for name in ("latent", "layers", "heads", "feedforward", "dropout", "condition_drop"):
            assert getattr(knobs, name) == getattr(config, name), (type(config).__name__, name)
        assert (knobs.batch, knobs.rate) == (64, 2e-4)
    assert train.text.encoder == "clip"


def test_protocol_is_the_published_one(preset: Params) -> None:
    evaluate = preset.evaluate
    assert (evaluate.repeats, evaluate.retrieval_batch, evaluate.diversity_pairs) == (20, 32, 300)
    assert (evaluate.multimodality.samples, evaluate.multimodality.pairs) == (30, 10)
    sampling = evaluate.sampling
    assert (sampling.steps, sampling.cfg, sampling.residual_cfg, sampling.top_k) == (10, 4.0, 5.0, 0.9)
    lcr = preset.unlearn.lcr
    assert (lcr.layers, lcr.score, lcr.target, lcr.published, lcr.noise) == ([0], "ratio", "code", True, 1.0)
