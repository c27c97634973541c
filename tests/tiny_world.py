"""The embedded benchmark at its smallest, taken once through every step from ingest to evaluate."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from made_once import made_once
from reused_folder import ReusedFolder

if TYPE_CHECKING:
    from hmu_tasks.config.params import Params

ROOT = Path(__file__).resolve().parents[1]
FAILED = pytest.StashKey[bool]()
"""Of a test: whether it has failed; its files stay then."""
SEED = 5
STEPS = {"steps": 4, "batch": 8}
TRANSFORMER = {"latent": 16, "layers": 1, "heads": 2, "feedforward": 16, **STEPS}
TINY: dict[str, Any] = {
    "run": {"seed": SEED, "device": "cpu", "track": False},
    "ingest": {"synthetic": {"clips": 40, "val": 16, "test": 16, "forget_share": 0.4}},
    "filter": {"concepts": str(ROOT / "hmu_tasks" / "data" / "concepts" / "concepts.yaml")},
    "train": {
        "text": {"width": 16, "word_width": 8, "motion_hidden": 8, **STEPS},
        "evaluator": {"movement_width": 8, "motion_hidden": 8, "text_hidden": 8, "width": 8, **STEPS},
        "tokenizer": {"width": 8, "code_width": 8, "codes": 16, "quantizers": 2, "depth": 1, **STEPS},
        "base": dict.fromkeys(("momask", "bamm", "t2mgpt"), TRANSFORMER),
        "residual": TRANSFORMER,
        "classifier": {
            "negatives": 4,
            "resampled": 4,
            "convolution": {"width": 8, **STEPS},
            "recurrent": {"width": 8, **STEPS},
        },
    },
    "unlearn": {
        "lcr": {"strengths": [0, 2], "seeds": [0], "layers": [0], "support": 1},
        "prune": {"strengths": [0, 2], "support": 1, "word_directions": 1},
        "distill": {
            "strengths": [0, 2],
            "support": 1,
            "tokenizer": {"window": 16, "steps": 3, "batch": 4},
            "networks": {"steps": 2, "batch": 4},
        },
        **{name: {"strengths": [0, 100]} for name in ("uce", "rece", "erasure", "guidance")},
        **{name: {"strengths": [0, 1, 3]} for name in ("finetune", "npo")},
    },
    "evaluate": {
        "repeats": 2,
        "val_repeats": 1,
        "diversity_pairs": 10,
        "multimodality": {"prompts": 2, "samples": 3, "pairs": 2},
        "sampling": {"steps": 2},
        "samples": {"forget": 2, "retain": 1, "disputed": 1},
    },
    "probe": {
        "prompts": 4,
        "costly_prompts": 3,
        "embedding": {"steps": 2},
        "relearning": {"shots": [2], "steps": [1, 2], "batch": 2, "safe_shots": 3, "rows": 2},
    },
}


# Of every method that has such a knob.
TINY_KNOBS = {"seeds": [0], "captions": 12, "batch": 8}


def overlaid(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Values with nested changes on top."""
    return values | {
        key: overlaid(values[key], change) if isinstance(change, dict) else change
        for key, change in changes.items()
    }


@cache
def shipped() -> dict[str, Any]:
    """Values of the project's own params.yaml; nobody changes them."""
    from hmu_tasks.runtime.yaml_files import read_yaml

    values: dict[str, Any] = read_yaml(ROOT / "params.yaml")
    return values


def tiny_params(changes: dict[str, Any] | None = None) -> "Params":
    """The project's own params.yaml at the smallest size, with further changes."""
    from hmu_tasks.config import params

    values = shipped()
    methods = {
        name: {
            "strengths": [0, section["strengths"][0]],
            **{key: TINY_KNOBS[key] for key in section if key in TINY_KNOBS},
        }
        for name, section in values["unlearn"].items()
    }
    values = overlaid(overlaid(values, {"unlearn": methods}), TINY)
    return params.parse(overlaid(values, changes or {}), "tiny")


def run_every_step(knobs: "Params") -> None:
    """Take the working directory from nothing to metrics of every method."""
    # Imported here, so that tests without the fixture start without torch.
    from hmu_tasks import codebook, evaluate, ingest, train, unlearn
    from hmu_tasks import filter as divide

    ingest.run(knobs)
    divide.run(knobs)
    cells = [
        (name, variant) for name in ("tokenizer", "base-momask", "residual") for variant in train.VARIANTS
    ]
    cells[2:2] = [("text", None), ("evaluator", None)]  # made from tokenizers only
    cells.append(("classifier", None))  # learns from motions that the others generate
    for component, variant in cells:
        train.run(knobs, component, variant)
    codebook.run(knobs)
    chosen = ("original", "retrain", *knobs.run.methods)
    for method in chosen:
        unlearn.run(knobs, "momask", method)
    evaluate.run(knobs, "real", "real")
    for method in chosen:
        evaluate.run(knobs, "momask", method)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every step has run; read only, `world` is a copy to change."""

    def make(root: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(root)
            run_every_step(tiny_params())

    return made_once(tmp_path_factory, "finished", make)


@pytest.fixture(scope="session")
def reused(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> ReusedFolder:
    return ReusedFolder(finished, tmp_path_factory.mktemp("reused") / "world")


@pytest.fixture
def world(
    reused: ReusedFolder, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The working directory is a copy of the finished folder; its large files are links, to be replaced, not
    written to: the steps do so, and a test that damages one unlinks it first.
    """
    root = tmp_path / "world"
    reused.lend(root)
    monkeypatch.chdir(root)
    yield root
    if not request.node.stash.get(FAILED, False):
        reused.take_back(root)
