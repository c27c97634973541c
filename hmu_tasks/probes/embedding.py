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
from hmu_tasks.training.loop.steps import step_seed

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
    one = _VectorAttacks(bench, bundle, original, clips, budget)
    return [
        Attack("closed-form", one.closed_form),
        Attack("gradient", one.gradient),
        Attack("shared", one.shared),
    ]


@dataclass(frozen=True)
class _VectorAttacks:
    """The three attacks on one bundle; see `vector_attacks`."""

    bench: Bench
    bundle: Bundle
    original: Bundle
    clips: ClipSet
    budget: Budget

    def closed_form(self) -> list[AttackOutcome]:
        """Make the edited projections give what the original's give for the prompt."""
        asked, ridge = self.bench.attacked, self.budget.ridge
        projections = (self.bundle.model.text_projections, self.original.model.text_projections)
        if same_projections(*projections):
            why = "the projections of the text are the original's"
            return [
                AttackOutcome(
                    f"closed-form-{radius:g}", "embedding", self.bench.plain(self.bundle), inapplicable=why
                )
                for radius in self.budget.radius
            ]
        start = self._start(asked)
        found = imitated_text(*projections, start, ridge=ridge)
        return [
            self._outcome(
                "closed-form",
                radius,
                asked,
                within_ball(found, start, radius=radius),
                start,
                {"ridge": ridge},
            )
            for radius in self.budget.radius
        ]

    def gradient(self) -> list[AttackOutcome]:
        """Move each prompt towards the codes of the forget clips with the nearest captions."""
        bench, budget, asked = self.bench, self.budget, self.bench.costly
        start = self._start(asked)
        rows = nearest_clips(bench, self.bundle, start, self.clips, budget.targets)
        losses = _losses(bench, self.bundle, self.clips, rows, seed=bench.seed + MASKS)
        spent: dict[str, float] = {
            "steps": budget.steps,
            "targets": rows.shape[1],
            "restarts": budget.restarts,
        }
        found = []
        for radius in budget.radius:
            starts = scattered(start, radius=radius, count=budget.restarts - 1, seed=bench.seed + STARTS)
            moved = descend(start, losses, radius=radius, steps=budget.steps, starts=starts)
            found.append(self._outcome("gradient", radius, asked, moved, start, spent))
        return found

    def shared(self) -> list[AttackOutcome]:
        """Move all prompts by one change, which makes forget clips' codes likely for their own captions."""
        bench, budget, asked = self.bench, self.budget, self.bench.attacked
        known = chosen_clips(self.clips, min(bench.costly.n, len(self.clips.ids)), seed=bench.seed)
        captions = bench.embedded(self.bundle, [self.clips.captions[i][0].text for i in known])
        losses = _losses(bench, self.bundle, self.clips, known[:, None], seed=bench.seed + SHARED_MASKS)
        start = self._start(asked)
        spent: dict[str, float] = {"steps": budget.steps, "shots": len(known)}
        found = []
        for radius in budget.radius:
            change = shared_change(captions, losses, radius=radius, steps=budget.steps)
            moved = with_change(start, change, radius=radius)
            found.append(self._outcome("shared", radius, asked, moved, start, spent))
        return found

    def _start(self, asked: Prompts) -> Tensor:
        return self.bench.embedded(self.bundle, asked.texts[: asked.n])

    def _outcome(
        self, name: str, radius: float, asked: Prompts, found: Tensor, start: Tensor, spent: dict[str, float]
    ) -> AttackOutcome:
        moved = size(found - start) / size(start)
        details = {"radius": radius, "distance": float(moved.mean()), **spent}
        shares = self.bench.steered(self.bundle, asked, found)
        return AttackOutcome(f"{name}-{radius:g}", "embedding", shares, details)


def _losses(bench: Bench, bundle: Bundle, clips: ClipSet, rows: np.ndarray, *, seed: int) -> Losses:
    """Losses [n] of texts [n, 1 + m, W] towards the codes of the clips `rows` [n, k], with other masks at every step.

    A step's masks follow from its number, so that two texts at one step are compared on equal terms; and from where a
    part of the texts begins, where all of them do not fit into a GPU's memory at once.
    """
    wanted = sorted({int(i) for i in rows.ravel()})
    codes = bundle.model.tokenizer.encode([clips.features[i] for i in wanted], batch=bench.batch)
    known = dict(zip(wanted, codes, strict=True))
    wanted_codes, lengths = padded_codes([known[int(i)] for i in rows.ravel()], bench.device)
    times = rows.shape[1]

    def losses(text: Tensor, step: int, places: Sequence[int]) -> Tensor:
        own, first = seed + STEP * step, places[0]
        generator = torch.Generator(device=bench.device).manual_seed(step_seed(own, first) if first else own)
        part = slice(first * times, (places[-1] + 1) * times)
        every = guided_losses(
            bundle.model,
            wanted_codes[part],
            text.repeat_interleave(times, dim=0),
            lengths[part],
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
