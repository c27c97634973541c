"""Attacks of the embedding family on one bundle: embedded texts other than the encoder's."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.probes.bench import Bench
from hmu_tasks.probes.likelihood import guided_loss, padded_codes
from hmu_tasks.probes.outcome import Attack, AttackOutcome
from hmu_tasks.probes.vectors import descend, imitated_text, same_projections, size, within_ball
from hmu_tasks.training.loop.batches import ClipSet


@dataclass(frozen=True)
class Budget:
    """Budget of an attacker on the embedded text.

    radius: of the ball around the prompt's sentence vector and words, as a share of their norm. ridge: of the closed
    form. steps: of the gradient attack. targets: clips per prompt whose codes it makes likely.
    """

    radius: float
    ridge: float
    steps: int
    targets: int


def vector_attacks(
    bench: Bench, bundle: Bundle, original: Bundle, clips: ClipSet, budget: Budget
) -> list[Attack]:
    """Return `closed-form` (needs the original's projections) and `gradient` (needs the bundle and forget clips).

    clips: forget clips of the training split. Records give the mean distance that the embedded texts moved, as a share
    of their norm.
    """

    def outcome(
        name: str, asked: Prompts, found: Tensor, start: Tensor, spent: dict[str, float]
    ) -> list[AttackOutcome]:
        moved = size(found - start) / size(start)
        details = {"radius": budget.radius, "distance": float(moved.mean()), **spent}
        return [AttackOutcome(name, "embedding", bench.steered(bundle, asked, found), details)]

    def closed_form() -> list[AttackOutcome]:
        asked = bench.attacked
        projections = (bundle.model.text_projections, original.model.text_projections)
        if same_projections(*projections):
            why = "the projections of the text are the original's"
            return [AttackOutcome("closed-form", "embedding", bench.plain(bundle), inapplicable=why)]
        start = bench.embedded(bundle, asked.texts[: asked.n])
        found = imitated_text(*projections, start, ridge=budget.ridge)
        found = within_ball(found, start, radius=budget.radius)
        return outcome("closed-form", asked, found, start, {"ridge": budget.ridge})

    def gradient() -> list[AttackOutcome]:
        asked = bench.costly
        start = bench.embedded(bundle, asked.texts[: asked.n])
        rows = nearest_clips(bench, bundle, start, clips, budget.targets)
        wanted = sorted({int(i) for i in rows.ravel()})
        codes = bundle.model.tokenizer.encode([clips.features[i] for i in wanted], batch=bench.batch)
        known = dict(zip(wanted, codes, strict=True))
        wanted_codes, lengths = padded_codes([known[int(i)] for i in rows.ravel()], bench.device)
        generator = torch.Generator(device=bench.device).manual_seed(bench.seed + 53)

        def loss(text: Tensor, step: int) -> Tensor:
            del step  # masks are sampled again at every step
            return guided_loss(
                bundle.model,
                wanted_codes,
                text.repeat_interleave(rows.shape[1], dim=0),
                lengths,
                cfg_scale=bench.sampling.cfg,
                generator=generator,
            )

        found = descend(start, loss, radius=budget.radius, steps=budget.steps)
        return outcome("gradient", asked, found, start, {"steps": budget.steps, "targets": rows.shape[1]})

    return [Attack("closed-form", closed_form), Attack("gradient", gradient)]


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
