"""Step `train` on the smallest benchmark: what it writes, and that kills and reruns change nothing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_clip import write_clip
from tiny_world import tiny_params

from hmu_tasks import train, unlearn
from hmu_tasks.data.clips import packed
from hmu_tasks.models.evaluators.classifier import load_classifiers
from hmu_tasks.models.generators.bundle import load_bundle
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.networks import weights
from hmu_tasks.models.text.embeddings import padded
from hmu_tasks.models.tokenizer.tokenizer import load_tokenizer
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ConfigError, DataError, WeightsError
from hmu_tasks.training.loop import fit

CPU = torch.device("cpu")
WITH_VARIANTS = ("tokenizer", "base-momask", "base-bamm", "base-t2mgpt", "residual")
CELLS = [(c, v) for c in train.COMPONENTS for v in (train.VARIANTS if c in WITH_VARIANTS else (None,))]


@pytest.mark.parametrize(("component", "variant"), CELLS)
def test_training_again_gives_the_same_bytes(world: Path, component: str, variant: str | None) -> None:
    folder = paths.component(component, variant)
    if component in ("base-bamm", "base-t2mgpt"):  # the tiny world has MoMask's only
        train.run(tiny_params(), component, variant)
    before = weights.digest(folder)
    assert train.run(tiny_params(), component, variant) == folder
    assert weights.digest(folder) == before
    assert not list(paths.SCRATCH.glob("*"))
    history = pd.read_csv(folder / "history.csv")
    assert list(history.columns) == ["step", "name", "value"]
    assert np.isfinite(history["value"]).all()
    assert history["step"].max() == 4


class KilledError(Exception):
    """A run that was killed."""


def test_a_killed_step_goes_on_where_it_was(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "CHECKPOINT_SECONDS", 0.0)
    component, variant = "tokenizer", "retrain"
    knobs = tiny_params({"train": {component: {"steps": 7, "batch": 2}}})
    folder = paths.component(component, variant)
    before = weights.digest(folder)

    def kill(done: int, total: int) -> None:
        if done == 6:
            raise KilledError

    with pytest.raises(KilledError):
        train.run(knobs, component, variant, kill)
    assert weights.digest(folder) == before  # nothing half-finished takes its place
    assert len(list(paths.SCRATCH.glob("*/checkpoint.pt"))) == 1
    seen: list[int] = []
    train.run(knobs, component, variant, lambda done, total: seen.append(done))
    assert seen == [6, 7]
    resumed = weights.digest(folder)
    train.run(knobs, component, variant)
    assert weights.digest(folder) == resumed


def test_a_checkpoint_is_not_continued_under_other_inputs(world: Path) -> None:
    keys = {train._key(tiny_params(), "tokenizer", "full"), train._key(tiny_params(), "tokenizer", "retrain")}
    keys.add(train._key(tiny_params({"run": {"seed": 6}}), "tokenizer", "full"))
    keys.add(train._key(tiny_params({"train": {"tokenizer": {"rate": 0.5}}}), "tokenizer", "full"))
    with (paths.SPLIT / "train-retain.txt").open("a") as file:
        file.write("\n")
    keys.add(train._key(tiny_params(), "tokenizer", "full"))
    assert len(keys) == 5


def test_a_checkpoint_survives_changes_that_do_not_concern_it(world: Path) -> None:
    before = {c: train._key(tiny_params(), c, "full") for c in ("tokenizer", "base-momask")}
    (paths.component("tokenizer", "retrain") / "config.json").write_text("{}")
    assert {c: train._key(tiny_params(), c, "full") for c in before} == before
    (paths.component("text") / "config.json").write_text("{}")
    after = {c: train._key(tiny_params(), c, "full") for c in before}
    assert after["tokenizer"] == before["tokenizer"]
    assert after["base-momask"] != before["base-momask"]


def test_variants_learn_from_their_own_clips(world: Path) -> None:
    forget = (paths.SPLIT / "train-forget.txt").read_text().split()
    retain = (paths.SPLIT / "train-retain.txt").read_text().split()
    assert set(forget) | set(retain) == set(packed.load(paths.CLIPS).ids("train"))
    digests = {
        v: weights.digest(paths.component("tokenizer", v) / "model.safetensors") for v in train.VARIANTS
    }
    assert digests["full"] != digests["retrain"]
    clips = packed.load(paths.CLIPS)
    codes = load_tokenizer(paths.component("tokenizer", "full"), CPU).encode([clips.features(forget[0])])
    assert codes[0].shape == (clips.frames(forget[0]) // 4, 2)


def test_unknown_names_list_the_choices(world: Path) -> None:
    with pytest.raises(ConfigError, match=r"'tokeniser'; choose one of text, evaluator, tokenizer"):
        train.run(tiny_params(), "tokeniser", None)
    with pytest.raises(ConfigError, match=r"'half'; choose one of full, retrain"):
        train.run(tiny_params(), "tokenizer", "half")


def test_nothing_left_to_retain_is_an_error(world: Path) -> None:
    (paths.SPLIT / "train-retain.txt").write_text("")
    with pytest.raises(DataError, match="no clip to train on"):
        train.run(tiny_params(), "tokenizer", "retrain")


def test_a_dataset_without_action_labels_has_no_classifier(world: Path) -> None:
    (paths.CLIPS / "actions.json").unlink()
    folder = train.run(tiny_params(), "classifier", None)
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "history.csv"]
    assert load_classifiers(folder, CPU) == {}


def test_clip_takes_the_place_of_the_small_encoder(world: Path) -> None:
    source = write_clip(world / "clip")
    knobs = tiny_params({"train": {"text": {"encoder": "clip", "words": 0, "clip_folder": str(source)}}})
    before = weights.digest(source)
    folder = train.run(knobs, "text", None)
    assert sorted(p.name for p in folder.iterdir() if p.name != "history.csv") == sorted(
        p.name for p in source.iterdir()
    )
    for component in ("base-momask", "residual"):
        train.run(knobs, component, "full")
    unlearn.run(knobs, "momask", "original")
    bundle = load_bundle(paths.edits("momask", "original") / "s0", CPU)
    assert bundle.text.width == 12
    assert bundle.model.base.config.text_width == 12
    codes = bundle.model.generate_codes(
        padded(bundle.text.encode(["kick"])),
        [40],
        sampling=Sampling(steps=2),
        generator=torch.Generator().manual_seed(0),
    )
    assert codes[0].shape == (10, 2)
    assert weights.digest(source) == before


def test_a_missing_clip_folder_says_what_to_do(world: Path) -> None:
    knobs = tiny_params({"train": {"text": {"encoder": "clip", "words": 0, "clip_folder": "nowhere"}}})
    with pytest.raises(WeightsError, match=r"train\.text\.encoder"):
        train.run(knobs, "text", None)
