"""Step `unlearn`: apply a method to a model; every edit becomes a full bundle with the proof of what changed."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from hmu_tasks import paths
from hmu_tasks.errors import ConfigError
from hmu_tasks.files import replacing_folder, write_json
from hmu_tasks.methods import lcr
from hmu_tasks.methods.codes import load_usage
from hmu_tasks.methods.difference import difference
from hmu_tasks.models import store
from hmu_tasks.models.momask import Progress
from hmu_tasks.params import Params, flat
from hmu_tasks.tracking import step_run

CPU = torch.device("cpu")


def original(params: Params, model: str, folder: Path, progress: Progress | None) -> None:
    """Nothing is unlearned: the model trained on everything, as the start of every method."""
    del params, progress
    _assemble(model, "full", folder / "s0")
    write_json(folder / "s0" / "edit.json", {"method": "original", "knob": None, "seed": 0, "changed": {}})


def retrain(params: Params, model: str, folder: Path, progress: Progress | None) -> None:
    """D_r, the gold standard: everything but the frozen text encoder was trained anew on the retain set only."""
    del params, progress
    _assemble(model, "retain", folder / "s0")
    report = {
        "method": "retrain",
        "knob": None,
        "seed": 0,
        "changed": "every tensor of tokenizer, base and residual",
    }
    write_json(folder / "s0" / "edit.json", report)


def replace_latent_codes(params: Params, model: str, folder: Path, progress: Progress | None) -> None:
    """LCR: one bundle per number of codes and noise draw; all but the codebooks is shared with the original."""
    knobs = params.unlearn.lcr
    source = paths.edits(model, "original") / "s0"
    tokenizer = store.load_tokenizer(source / "tokenizer", CPU)
    before = tokenizer.network.state_dict()
    usage = load_usage(paths.CODEBOOK)
    cells = [(count, seed) for count in knobs.codes for seed in knobs.seeds]
    for done, (count, seed) in enumerate(cells, start=1):
        edit = lcr.replace_codes(
            tokenizer.codebooks,
            usage,
            codes=count,
            layers=knobs.layers,
            noise=knobs.noise,
            seed=params.run.seed + seed,
            score=knobs.score,
            prior=params.codebook.prior * usage.codes,
            support=knobs.support,
            target=knobs.target,
            published=knobs.published,
        )
        network = tokenizer.network.with_codebooks(edit.codebooks)
        target = folder / f"k{count:03d}-s{seed}"
        store.save_network(network, store.load_config(source / "tokenizer"), target / "tokenizer")
        store.save_statistics(tokenizer.mean, tokenizer.std, target / "tokenizer")
        parts = {name: source / name for name in store.COMPONENTS} | {"tokenizer": target / "tokenizer"}
        store.save_bundle(parts, target, {"method": "lcr", "from": str(source.as_posix())})
        report = {
            "method": "lcr",
            "knob": count,
            "seed": seed,
            "replaced": edit.replaced,
            "targets": edit.targets,
            "noise_scale": edit.scale,
            "untouched_components": ["base", "residual", "text"],
            "tokenizer": asdict(difference(before, network.state_dict())),
        }
        write_json(target / "edit.json", report)
        if progress is not None:
            progress(done, len(cells))


METHODS = {"original": original, "retrain": retrain, "lcr": replace_latent_codes}


def run(params: Params, model: str, method: str, progress: Progress | None = None) -> None:
    """Write one bundle per edit of `method` on `model`, each with edit.json."""
    if method not in METHODS:
        raise ConfigError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    if model not in params.models:
        raise ConfigError(f"unknown model {model!r}; choose one of {', '.join(params.models)}")
    knobs = flat(getattr(params.unlearn, method).model_dump()) if hasattr(params.unlearn, method) else {}
    target = paths.edits(model, method)
    with step_run(
        "unlearn",
        f"{method} {model}",
        params={**knobs, "seed": params.run.seed},
        tags={"model": model, "method": method},
        root=Path(),
        enabled=params.run.track,
    ) as run:
        with replacing_folder(target) as folder:
            METHODS[method](params, model, folder, progress)
        edits = sorted(target.glob("*/edit.json"))
        run.metrics({"edits": len(edits)})
        for edit in edits:
            run.artifact(edit, folder=edit.parent.name)


def _assemble(model: str, variant: str, folder: Path) -> None:
    parts: Mapping[str, Any] = {
        "text": paths.component("text"),
        "tokenizer": paths.component("tokenizer", variant),
        "base": paths.component(f"base-{model}", variant),
        "residual": paths.component("residual", variant),
    }
    store.save_bundle(parts, folder, {"method": "train", "variant": variant})
