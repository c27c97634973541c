"""Components and bundles on disk: what comes back, what a change does, what cannot be read."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hmu_tasks.models import model_named
from hmu_tasks.models.evaluators.classifier import CLASSIFIERS, load_classifiers
from hmu_tasks.models.evaluators.evaluator import load_evaluator
from hmu_tasks.models.generators.bundle import Bundle, load_bundle, save_bundle
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.components import (
    STATISTICS,
    link_files,
    load_config,
    load_statistics,
    save_network,
    save_statistics,
)
from hmu_tasks.models.text.embeddings import padded
from hmu_tasks.models.text.encoders import load_text
from hmu_tasks.models.tokenizer.tokenizer import load_tokenizer
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import WeightsError

CPU = torch.device("cpu")
COMPONENTS = model_named("momask").parts
BUNDLE = paths.edits("momask", "original") / "s0"


def sample(bundle: Bundle) -> list[np.ndarray]:
    return bundle.model.generate(
        padded(bundle.text.encode(["a man kicks", "a person walks"])),
        [40, 60],
        sampling=Sampling(steps=2),
        generator=torch.Generator().manual_seed(0),
    )


def test_a_bundle_comes_back_and_moves_with_its_digest(world: Path, tmp_path: Path) -> None:
    bundle = load_bundle(BUNDLE, CPU)
    shutil.copytree(BUNDLE, tmp_path / "else where")
    moved = load_bundle(tmp_path / "else where", CPU)
    assert moved.digest == bundle.digest
    assert (moved.text_digest, moved.generator_digest) == (bundle.text_digest, bundle.generator_digest)
    for one, other in zip(sample(bundle), sample(moved), strict=True):
        np.testing.assert_array_equal(one, other)
    index = json.loads((BUNDLE / "bundle.json").read_text())
    assert index["digest"] == bundle.digest
    assert set(index["components"]) == set(COMPONENTS)
    network = bundle.model.tokenizer.network
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


def test_networks_and_text_encoder_agree_on_the_words(world: Path, tmp_path: Path) -> None:
    parts = {name: tmp_path / name for name in COMPONENTS}
    for name, folder in parts.items():
        link_files(BUNDLE / name, folder)
    config = load_config(BUNDLE / "text")
    (parts["text"] / "config.json").unlink()  # a link to the world's
    (parts["text"] / "config.json").write_text(json.dumps(config | {"words": 0}))
    save_bundle(parts, tmp_path / "mixed", {}, model="momask")
    with pytest.raises(WeightsError, match=r"base was trained to read \d+ words .* encoder\s+gives 0"):
        load_bundle(tmp_path / "mixed", CPU)


def test_saving_again_gives_the_same_digest_whatever_the_lineage(world: Path, tmp_path: Path) -> None:
    parts = {name: BUNDLE / name for name in COMPONENTS}
    save_bundle(parts, tmp_path / "again", {"other": "lineage"}, model="momask")
    assert load_bundle(tmp_path / "again", CPU).digest == load_bundle(BUNDLE, CPU).digest


def test_training_curves_are_no_part_of_a_bundle(world: Path) -> None:
    assert (paths.component("tokenizer", "full") / "history.csv").exists()
    assert not list(BUNDLE.rglob("history.csv"))


@pytest.mark.parametrize("name", COMPONENTS)
@pytest.mark.parametrize("damage", ["weights", "config", "missing", "surplus"])
def test_a_component_that_was_tampered_with_is_named(world: Path, name: str, damage: str) -> None:
    folder = BUNDLE / name
    match damage:
        case "weights":
            content = bytearray((folder / "model.safetensors").read_bytes())
            content[-1] ^= 1
            (folder / "model.safetensors").unlink()  # a link to the shared world's
            (folder / "model.safetensors").write_bytes(content)
        case "config":
            with (folder / "config.json").open("a") as file:
                file.write(" ")
        case "missing":
            (folder / "model.safetensors").unlink()
        case "surplus":
            (folder / "more.txt").write_text("")
    with pytest.raises(WeightsError, match=rf"s0: {name} differ|s0/{name}/model.safetensors is missing"):
        load_bundle(BUNDLE, CPU)


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"components": 3}', "\x00"])
def test_a_folder_without_a_readable_index_is_no_bundle(world: Path, text: str | None) -> None:
    (BUNDLE / "bundle.json").unlink()
    if text is not None:
        (BUNDLE / "bundle.json").write_text(text)
    with pytest.raises(WeightsError, match="is not a model bundle"):
        load_bundle(BUNDLE, CPU)


def test_a_component_that_is_gone_is_named(world: Path) -> None:
    shutil.rmtree(BUNDLE / "residual")
    with pytest.raises(WeightsError, match="residual"):
        load_bundle(BUNDLE, CPU)


def test_rewriting_a_component_leaves_the_bundles_that_share_its_files(world: Path, tmp_path: Path) -> None:
    source = paths.component("tokenizer", "full")
    link_files(source, tmp_path / "shared")
    assert (tmp_path / "shared/model.safetensors").stat().st_nlink > 1
    before = weights.digest(tmp_path / "shared")
    tokenizer = load_tokenizer(source, CPU)
    with torch.no_grad():
        tokenizer.network.quantizer.books()[0].codebook.add_(1)
    config = load_config(source)
    save_network(tokenizer.network, {**config, "dropout": 0.5}, source)
    save_statistics(tokenizer.mean + 1, tokenizer.std + 1, source)
    assert weights.digest(tmp_path / "shared") == before
    changed = load_tokenizer(source, CPU)
    assert torch.equal(changed.mean, tokenizer.mean + 1)
    assert torch.equal(changed.codebooks, tokenizer.codebooks)


def test_linking_follows_symbolic_links(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs/1").write_text("content")
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot/config.json").symlink_to("../blobs/1")
    link_files(tmp_path / "snapshot", tmp_path / "deep/er/model")
    linked = tmp_path / "deep/er/model/config.json"
    assert not linked.is_symlink()
    assert linked.read_text() == "content"


def test_the_classifier_and_a_dataset_without_labels(world: Path, tmp_path: Path) -> None:
    found = load_classifiers(paths.component("classifier"), CPU)
    assert list(found) == list(CLASSIFIERS)
    assert all(0.5 <= one.threshold <= 1 for one in found.values())
    (tmp_path / "config.json").write_text('{"labels": false}')
    assert load_classifiers(tmp_path, CPU) == {}


@pytest.mark.parametrize("config", [None, "", "[1]", "{}", '{"widht": 3}', '{"encoder": "bert"}'])
def test_a_config_that_does_not_fit_is_named(world: Path, config: str | None) -> None:
    loaders = {
        paths.component("text"): load_text,
        paths.component("tokenizer", "full"): load_tokenizer,
        paths.component("evaluator"): load_evaluator,
        paths.component("classifier"): load_classifiers,
    }
    for folder, load in loaders.items():
        if config is None:
            (folder / "config.json").unlink()
        else:
            (folder / "config.json").write_text(config)
        with pytest.raises(WeightsError, match=folder.name):
            load(folder, CPU)


def test_statistics_that_cannot_be_read_are_named(world: Path) -> None:
    folder = paths.component("tokenizer", "full")
    file = folder / STATISTICS
    for content in (b"", b"no tensors", file.read_bytes()[:50]):
        file.unlink()  # at first a link to the shared world's
        file.write_bytes(content)
        with pytest.raises(WeightsError, match="tokenizer-full"):
            load_statistics(folder, CPU)
    weights.save({"mean": torch.zeros(3)}, {}, folder)
    (folder / "model.safetensors").rename(file)
    with pytest.raises(WeightsError, match=r"holds mean \[3\] instead of mean \[D\] and std \[D\]"):
        load_statistics(folder, CPU)
    file.unlink()
    with pytest.raises(WeightsError, match="tokenizer-full"):
        load_tokenizer(folder, CPU)


def test_a_saved_network_has_no_partial_files_beside_it(tmp_path: Path) -> None:
    network = nn.Linear(2, 3)
    for _ in range(2):
        save_network(network, {"a": 1}, tmp_path)
        save_statistics(torch.zeros(3), torch.ones(3), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "config.json",
        "model.safetensors",
        "statistics.safetensors",
    ]
    mean, std = load_statistics(tmp_path, CPU)
    assert torch.equal(mean, torch.zeros(3))
    assert torch.equal(std, torch.ones(3))
