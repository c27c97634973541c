"""Step `unlearn`: apply a method to a model; every edit becomes a full bundle with the proof of what changed."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from hmu_tasks import paths
from hmu_tasks.data import packed
from hmu_tasks.errors import ConfigError, DataError
from hmu_tasks.files import read_json, replacing_folder, write_json
from hmu_tasks.methods import lcr
from hmu_tasks.methods.codes import load_prior, load_usage
from hmu_tasks.methods.difference import difference
from hmu_tasks.methods.text_edits import TextChoice, TextEdits
from hmu_tasks.models import store
from hmu_tasks.models.momask import Progress
from hmu_tasks.models.store import SOURCE
from hmu_tasks.params import Params, flat
from hmu_tasks.tracking import step_run

CPU = torch.device("cpu")


def original(params: Params, model: str, folder: Path, progress: Progress | None) -> None:
    """Nothing is unlearned: the model trained on everything, as the start of every method."""
    del params, progress
    _assemble(model, "full", folder / "s0")
    report: dict[str, Any] = {
        "method": "original",
        "knob": None,
        "seed": 0,
        "changed": {},
        "changed_parameters": 0,
    }
    write_json(folder / "s0" / "edit.json", report)


def retrain(params: Params, model: str, folder: Path, progress: Progress | None) -> None:
    """D_r, the gold standard: everything but the frozen text encoder was trained anew on the retain set only."""
    del params, progress
    missing = store.absent_reason(paths.component("tokenizer", "retain"))
    if missing is not None:
        store.save_absent(folder, missing)
        return
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
    usage, prior = load_usage(paths.CODEBOOK), load_prior(paths.CODEBOOK)
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
            prior=prior * usage.codes,
            support=knobs.support,
            target=knobs.target,
            published=knobs.published,
        )
        network = tokenizer.network.with_codebooks(edit.codebooks)
        target = folder / f"k{count:03d}-s{seed}"
        store.save_network(network, store.load_config(source / "tokenizer"), target / "tokenizer")
        store.save_statistics(tokenizer.mean, tokenizer.std, target / "tokenizer")
        parts = {name: source / name for name in store.COMPONENTS} | {"tokenizer": target / "tokenizer"}
        store.save_bundle(parts, target, {"method": "lcr", "from": str(source.as_posix())}, model=model)
        changes = difference(before, network.state_dict())
        report = {
            "method": "lcr",
            "knob": count,
            "seed": seed,
            "replaced": edit.replaced,
            "targets": edit.targets,
            "noise_scale": edit.scale,
            "untouched_components": ["base", "residual", "text"],
            "changed_parameters": changes.values,
            "tokenizer": asdict(changes),
        }
        write_json(target / "edit.json", report)
        if progress is not None:
            progress(done, len(cells))


def unify_concepts(params: Params, model: str, folder: Path, progress: Progress | None) -> None:
    """UCE: one bundle per strength and draw of captions; only the two maps of the sentence vector change."""
    knobs, edits = params.unlearn.uce, _text_edits(model)
    if knobs.published:
        edits.released("uce", folder)
        return
    weights = {"erase": knobs.erase, "preserve": knobs.preserve, "ridge": knobs.ridge}
    texts = TextChoice(knobs.texts, knobs.captions, params.run.seed, knobs.target)
    edits.sweep("uce", folder, knobs.strengths, knobs.seeds, weights, texts=texts, progress=progress)


def erase_reliably(params: Params, model: str, folder: Path, progress: Progress | None) -> None:
    """RECE: as UCE, with rounds against the sentence vectors that still evoke the concept."""
    knobs, edits = params.unlearn.rece, _text_edits(model)
    if knobs.published:
        edits.released("rece", folder, rounds=knobs.rounds)
        return
    weights = {"erase": knobs.erase, "preserve": knobs.preserve, "ridge": knobs.ridge}
    weights |= {"rounds": knobs.rounds, "adversarial_ridge": knobs.adversarial_ridge}
    texts = TextChoice(knobs.texts, knobs.captions, params.run.seed, knobs.target)
    edits.sweep("rece", folder, knobs.strengths, knobs.seeds, weights, texts=texts, progress=progress)


def erase_linearly(params: Params, model: str, folder: Path, progress: Progress | None) -> None:
    """Linear erasure: one bundle per strength and draw of captions; the same two maps change."""
    knobs, edits = params.unlearn.erasure, _text_edits(model)
    weights = {"shrinkage": knobs.shrinkage}
    texts = TextChoice(knobs.texts, knobs.captions, params.run.seed)
    edits.sweep("erasure", folder, knobs.strengths, knobs.seeds, weights, texts=texts, progress=progress)


def steer_away(params: Params, model: str, folder: Path, progress: Progress | None) -> None:
    """Negative guidance: one bundle per strength and draw of captions, with the original's weights."""
    knobs = params.unlearn.guidance
    texts = TextChoice(knobs.texts, knobs.captions, params.run.seed)
    _text_edits(model).steer(folder, knobs.strengths, knobs.seeds, texts=texts, progress=progress)


METHODS = {
    "original": original,
    "retrain": retrain,
    "lcr": replace_latent_codes,
    "uce": unify_concepts,
    "rece": erase_reliably,
    "erasure": erase_linearly,
    "guidance": steer_away,
}


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


def _text_edits(model: str) -> TextEdits:
    """Edits of the sentence vector's maps, from a model's original bundle, its training captions and the keywords."""
    captions = packed.load(paths.CLIPS).captions
    known = {}
    for role in ("forget", "retain"):
        place = paths.SPLIT / f"train-{role}.txt"
        ids = set(place.read_text(encoding="utf-8").splitlines())
        known[role] = sorted(set(captions.loc[captions["clip_id"].isin(ids), "caption"]))
        if not known[role]:
            raise DataError(f"no clip of {place} has a caption; an edit on the text side needs some")
    keywords = read_json(paths.SPLIT / "filter.json")["rules"]["substring"]["keywords"]
    source = paths.edits(model, "original") / "s0"
    return TextEdits(
        source, model, paths.CACHE, forget=known["forget"], retain=known["retain"], keywords=sorted(keywords)
    )


def _assemble(model: str, variant: str, folder: Path) -> None:
    parts: Mapping[str, Any] = {
        "text": paths.component("text"),
        "tokenizer": paths.component("tokenizer", variant),
        "base": paths.component(f"base-{model}", variant),
        "residual": paths.component("residual", variant),
    }
    # Checkpoints that were not trained here are named by the digests of their files.
    sources = {name: read_json(place / SOURCE) for name, place in parts.items() if (place / SOURCE).is_file()}
    lineage = {"method": "train", "variant": variant} | ({"sources": sources} if sources else {})
    store.save_bundle(parts, folder, lineage, model=model)
