"""Step `unlearn`: apply a method to a model; every edit becomes a full bundle with the proof of what changed."""

import csv
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from hmu_tasks.config import paths
from hmu_tasks.config.params import Params
from hmu_tasks.config.sections.unlearning import Tuned
from hmu_tasks.data.clips import packed
from hmu_tasks.data.clips.id_lists import ROLES, id_list, read_ids
from hmu_tasks.methods import lcr, method_function
from hmu_tasks.methods.shared import encoded
from hmu_tasks.methods.shared.codes import load_prior, load_usage
from hmu_tasks.methods.shared.cost import Cost
from hmu_tasks.methods.shared.difference import difference
from hmu_tasks.methods.shared.text_edits import TextChoice, TextEdits
from hmu_tasks.methods.shared.tuned_edits import TunedEdits
from hmu_tasks.models.generators.bundle import COMPONENTS, load_bundle, save_bundle
from hmu_tasks.models.generators.text_to_motion import Progress
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.components import (
    SOURCE,
    absent_reason,
    load_config,
    save_absent,
    save_network,
    save_statistics,
)
from hmu_tasks.models.networks.device import pick_device
from hmu_tasks.models.text.embeddings import embed_texts
from hmu_tasks.models.tokenizer.tokenizer import load_tokenizer
from hmu_tasks.runtime.code_digest import code_digest
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import read_json, replacing_folder, write_json
from hmu_tasks.training.loop.batches import clip_set
from hmu_tasks.training.loop.transformers import CodeSet

CPU = torch.device("cpu")


def original(params: Params, model: str, folder: Path, progress: Progress | None) -> None:
    """Nothing is unlearned: the model trained on everything, as the start of every method."""
    del params, progress
    _assemble(model, "full", folder / "s0")
    report: dict[str, Any] = {
        "method": "original",
        "strength": None,
        "seed": 0,
        "changed": {},
        "changed_parameters": 0,
        "cost": asdict(Cost()),
    }
    write_json(folder / "s0" / "edit.json", report)


def retrain(params: Params, model: str, folder: Path, progress: Progress | None) -> None:
    """D_r, the gold standard: everything but the frozen text encoder was trained anew on the retain set only."""
    del params, progress
    missing = absent_reason(paths.component("tokenizer", "retrain"))
    if missing is not None:
        save_absent(folder, missing)
        return
    _assemble(model, "retrain", folder / "s0")
    report = {
        "method": "retrain",
        "strength": None,
        "seed": 0,
        "changed": "every tensor of tokenizer, base and residual",
        "changed_parameters": sum(
            tensor.numel()
            for name in ("tokenizer", "base", "residual")
            for key, tensor in weights.load_state(folder / "s0" / name).items()
            if not key.endswith(".pe")  # the table of sines is the same in every model
        ),
        "cost": asdict(_retraining_cost(model)),
    }
    write_json(folder / "s0" / "edit.json", report)


def replace_latent_codes(params: Params, model: str, folder: Path, progress: Progress | None) -> None:
    """LCR: one bundle per number of codes and noise draw; all but the codebooks is shared with the original."""
    knobs = params.unlearn.lcr
    source = paths.edits(model, "original") / "s0"
    tokenizer = load_tokenizer(source / "tokenizer", CPU)
    before = tokenizer.network.state_dict()
    usage, prior = load_usage(paths.CODEBOOK), load_prior(paths.CODEBOOK)
    parts = {name: lcr.Part(load_usage(paths.CODEBOOK, name), share) for name, share in knobs.parts.items()}
    cells = [(count, seed) for count in knobs.strengths for seed in knobs.seeds]
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
            initial_draws=lcr.values_drawn(tokenizer.network) if knobs.published else 0,
            parts=parts,
        )
        network = tokenizer.network.with_codebooks(edit.codebooks)
        target = folder / f"strength{count:03d}-s{seed}"
        save_network(network, load_config(source / "tokenizer"), target / "tokenizer")
        save_statistics(tokenizer.mean, tokenizer.std, target / "tokenizer")
        components = {name: source / name for name in COMPONENTS}
        components["tokenizer"] = target / "tokenizer"
        save_bundle(components, target, {"method": "lcr", "from": str(source.as_posix())}, model=model)
        changes = difference(before, network.state_dict())
        report = {
            "method": "lcr",
            "strength": count,
            "seed": seed,
            "replaced": edit.replaced,
            "parts": edit.parts,
            "targets": edit.targets,
            "noise_scale": edit.scale,
            "untouched_components": ["base", "residual", "text"],
            "changed_parameters": changes.values,
            "cost": asdict(Cost(clips_read=usage.forget + usage.retain if count else 0)),
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


def tune_on_retain(params: Params, model: str, folder: Path, progress: Progress | None) -> None:
    """Fine-tuning: one bundle per number of optimiser steps and seed; base and residual transformer change."""
    _tune(params, model, "finetune", folder, params.unlearn.finetune, {}, progress)


def prefer_otherwise(params: Params, model: str, folder: Path, progress: Progress | None) -> None:
    """NPO or gradient ascent: one bundle per number of optimiser steps and seed; the same two transformers change."""
    knobs = params.unlearn.npo
    terms = {"loss": knobs.loss, "beta": knobs.beta, "retain_weight": knobs.retain_weight}
    _tune(params, model, "npo", folder, knobs, terms, progress)


METHODS = {
    "original": original,
    "retrain": retrain,
    "lcr": replace_latent_codes,
    "uce": unify_concepts,
    "rece": erase_reliably,
    "erasure": erase_linearly,
    "guidance": steer_away,
    "finetune": tune_on_retain,
    "npo": prefer_otherwise,
}


def run(params: Params, model: str, method: str, progress: Progress | None = None) -> None:
    """Write one bundle per edit of `method` on `model`, each with edit.json."""
    params.check(model, method)
    with replacing_folder(paths.edits(model, method)) as folder:
        METHODS[method](params, model, folder, progress)
    for left in paths.SCRATCH.glob(f"unlearn-{model}-{method}-*"):
        shutil.rmtree(left, ignore_errors=True)


def _text_edits(model: str) -> TextEdits:
    """Edits of the sentence vector's maps, from a model's original bundle, its training captions and the keywords."""
    captions = packed.load(paths.CLIPS).captions
    known = {}
    for role in ROLES:
        place = id_list(paths.SPLIT, "train", role)
        ids = set(read_ids(paths.SPLIT, "train", role))
        known[role] = sorted(set(captions.loc[captions["clip_id"].isin(ids), "caption"]))
        if not known[role]:
            raise DataError(f"no clip of {place} has a caption; an edit on the text side needs some")
    keywords = read_json(paths.SPLIT / "filter.json")["rules"]["substring"]["keywords"]
    source = paths.edits(model, "original") / "s0"
    return TextEdits(
        source, model, paths.CACHE, forget=known["forget"], retain=known["retain"], keywords=sorted(keywords)
    )


def _tune(
    params: Params,
    model: str,
    method: str,
    folder: Path,
    knobs: Tuned,
    terms: Mapping[str, Any],
    progress: Progress | None,
) -> None:
    """Make the edits of a method that trains on, from the training clips' codes and captions."""
    source = paths.edits(model, "original") / "s0"
    bundle = load_bundle(source, CPU)
    clips = packed.load(paths.CLIPS)
    ids = {role: read_ids(paths.SPLIT, "train", role) for role in ROLES}
    both = clip_set(clips, ids["forget"] + ids["retain"])
    captions = [[caption.text for caption in row] for row in both.captions]
    texts = [text for row in captions for text in row]
    vectors = embed_texts(bundle.text, texts, cache=paths.CACHE, digest=bundle.text_digest)
    codes, count = encoded.load_codes(paths.CODEBOOK, len(both.ids)), len(ids["forget"])
    forget = CodeSet(codes[:count], captions[:count], vectors)
    retain = CodeSet(codes[count:], captions[count:], vectors)
    read = captions if method == "npo" else captions[count:]
    edits = TunedEdits(
        source, model, forget, retain, pick_device(params.run.device), _scratch(params, model, method)
    )
    edits.sweep(
        method,
        method_function(method),
        folder,
        knobs.strengths,
        knobs.seeds,
        batch=knobs.batch,
        rate=knobs.rate,
        seed=params.run.seed,
        cost=Cost(clips_read=len(read), captions_read=sum(len(row) for row in read)),
        knobs=terms,
        progress=progress,
    )


def _scratch(params: Params, model: str, method: str) -> Path:
    """Folder of resumable training, named by all that it depends on: it is never continued under other inputs."""
    inputs = [paths.edits(model, "original") / "s0" / "bundle.json", paths.CODEBOOK / encoded.FILE]
    inputs += [paths.CLIPS / "captions.parquet", *(id_list(paths.SPLIT, "train", role) for role in ROLES)]
    knobs = getattr(params.unlearn, method).model_dump(mode="json")
    parts = [json.dumps(knobs, sort_keys=True), str(params.run.seed), str(pick_device(params.run.device))]
    parts += [code_digest("models", "methods", "training"), *(weights.digest(path) for path in inputs)]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return paths.SCRATCH / f"unlearn-{model}-{method}-{key}"


def _retraining_cost(model: str) -> Cost:
    """Cost of D_r: the steps of its three networks where they were trained here, on all that is to be retained."""
    steps: int | None = 0
    for name in ("tokenizer", f"base-{model}", "residual"):
        history = paths.component(name, "retrain") / "history.csv"
        with history.open(encoding="utf-8", newline="") as file:
            taken = [int(row["step"]) for row in csv.DictReader(file)]
        steps = steps + max(taken) if taken and steps is not None else None
    kept = set(read_ids(paths.SPLIT, "train", "retain"))
    captions = packed.load(paths.CLIPS).captions
    return Cost(steps, len(kept), int(captions["clip_id"].isin(kept).sum()))


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
    save_bundle(parts, folder, lineage, model=model)
