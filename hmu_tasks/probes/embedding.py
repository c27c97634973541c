"""Attacks of the embedding family on one bundle: embedded texts other than the encoder's."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.probes.bench import Bench
from hmu_tasks.probes.likelihood import guided_losses, padded_codes
from hmu_tasks.probes.outcome import Attack, AttackOutcome
from hmu_tasks.probes.relearning import chosen_clips
from hmu_tasks.probes.vectors import (
    Losses,
    descend,
    imitated_text,
    same_projections,
    scattered,
    shared_change,
    size,
    with_change,
    within_ball,
)
from hmu_tasks.training.loop.batches import ClipSet

# Added to the seed: masks of the gradient attack, its random starts, masks of the shared change, and between two steps.
MASKS, STARTS, SHARED_MASKS, STEP = 53, 59, 61, 1000


@dataclass(frozen=True)
class Budget:
    """Budget of an attacker on the embedded text.

    radius: of the balls around the prompt's sentence vector and words, as shares of their norm. ridge: of the closed
    form. steps, restarts: of the gradient attack. targets: clips per prompt whose codes it makes likely.
    """

    radius: Sequence[float]
    ridge: float
    steps: int
    restarts: int
    targets: int


def vector_attacks(
    bench: Bench, bundle: Bundle, original: Bundle, clips: ClipSet, budget: Budget
) -> list[Attack]:
    """Return three attacks, each with an outcome `<attack>-<radius>` per radius.

    `closed-form` needs the original's projections; `gradient` the bundle and forget clips; `shared`, one change for all
    prompts, found on the forget clips' own captions, the same. clips: forget clips of the training split. Records give
    the mean distance that the embedded texts moved, as a share of their norm.
    """

    def outcome(
        name: str, radius: float, asked: Prompts, found: Tensor, start: Tensor, spent: dict[str, float]
    ) -> AttackOutcome:
        moved = size(found - start) / size(start)
        details = {"radius": radius, "distance": float(moved.mean()), **spent}
        return AttackOutcome(f"{name}-{radius:g}", "embedding", bench.steered(bundle, asked, found), details)

    def closed_form() -> list[AttackOutcome]:
        asked = bench.attacked
        projections = (bundle.model.text_projections, original.model.text_projections)
        if same_projections(*projections):
            why = "the projections of the text are the original's"
            return [
                AttackOutcome(f"closed-form-{radius:g}", "embedding", bench.plain(bundle), inapplicable=why)
                for radius in budget.radius
            ]
        start = bench.embedded(bundle, asked.texts[: asked.n])
        found = imitated_text(*projections, start, ridge=budget.ridge)
        return [
            outcome(
                "closed-form",
                radius,
                asked,
                within_ball(found, start, radius=radius),
                start,
                {"ridge": budget.ridge},
            )
            for radius in budget.radius
        ]

    def gradient() -> list[AttackOutcome]:
        asked = bench.costly
        start = bench.embedded(bundle, asked.texts[: asked.n])
        rows = nearest_clips(bench, bundle, start, clips, budget.targets)
        losses = _losses(bench, bundle, clips, rows, seed=bench.seed + MASKS)
        spent: dict[str, float] = {
            "steps": budget.steps,
            "targets": rows.shape[1],
            "restarts": budget.restarts,
        }
        found = []
        for radius in budget.radius:
            starts = scattered(start, radius=radius, count=budget.restarts - 1, seed=bench.seed + STARTS)
            moved = descend(start, losses, radius=radius, steps=budget.steps, starts=starts)
            found.append(outcome("gradient", radius, asked, moved, start, spent))
        return found

    def shared() -> list[AttackOutcome]:
        asked = bench.attacked
        known = chosen_clips(clips, min(bench.costly.n, len(clips.ids)), seed=bench.seed)
        captions = bench.embedded(bundle, [clips.captions[i][0].text for i in known])
        losses = _losses(bench, bundle, clips, known[:, None], seed=bench.seed + SHARED_MASKS)
        start = bench.embedded(bundle, asked.texts[: asked.n])
        spent: dict[str, float] = {"steps": budget.steps, "shots": len(known)}
        found = []
        for radius in budget.radius:
            change = shared_change(captions, losses, radius=radius, steps=budget.steps)
            moved = with_change(start, change, radius=radius)
            found.append(outcome("shared", radius, asked, moved, start, spent))
        return found

    return [Attack("closed-form", closed_form), Attack("gradient", gradient), Attack("shared", shared)]


def _losses(bench: Bench, bundle: Bundle, clips: ClipSet, rows: np.ndarray, *, seed: int) -> Losses:
    """Losses [n] of texts [n, 1 + m, W] towards the codes of the clips `rows` [n, k], with other masks at every step.

    A step's masks follow from its number, so that two texts at one step are compared on equal terms.
    """
    wanted = sorted({int(i) for i in rows.ravel()})
    codes = bundle.model.tokenizer.encode([clips.features[i] for i in wanted], batch=bench.batch)
    known = dict(zip(wanted, codes, strict=True))
    wanted_codes, lengths = padded_codes([known[int(i)] for i in rows.ravel()], bench.device)
    times = rows.shape[1]

    def losses(text: Tensor, step: int) -> Tensor:
        generator = torch.Generator(device=bench.device).manual_seed(seed + STEP * step)
        every = guided_losses(
            bundle.model,
            wanted_codes,
            text.repeat_interleave(times, dim=0),
            lengths,
            cfg_scale=bench.sampling.cfg,
            generator=generator,
        )
        return every.view(-1, times).sum(dim=1)

    return losses


def nearest_clips(bench: Bench, bundle: Bundle, start: Tensor, clips: ClipSet, count: int) -> np.ndarray:
    """Indices [n, count] of the clips with the captions nearest to each prompt, the nearest first.

    start: [n, 1 + m, W]; the sentence vectors count. A clip counts with the nearest of its captions; a caption that is
    the prompt itself has distance 0.
    """
    captions = bench.embedded(bundle, [caption.text for row in clips.captions for caption in row])
    distances = torch.cdist(start[:, 0].double(), captions[:, 0].double()).cpu().numpy()
    starts = np.cumsum([0, *(len(row) for row in clips.captions[:-1])])  # every clip has a caption
    nearest = np.minimum.reduceat(distances, starts, axis=1)
    return np.argsort(nearest, axis=1, kind="stable")[:, : min(count, len(clips.ids))]
