"""Students of a teacher without the concept: noised copies that learn from it on the retain set.

UNDO, unlearn, noise, distil on outputs (Lee et al. 2025, arXiv 2506.06278), for a tokenizer and networks of codes.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hmu_tasks.data.clips import packed
from hmu_tasks.methods.shared.code_tables import rebuilt
from hmu_tasks.methods.shared.inputs import Inputs
from hmu_tasks.methods.shared.knobs import StudentKnobs
from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.models.generators.text_to_motion import TextToMotion
from hmu_tasks.models.text.embeddings import embed_texts
from hmu_tasks.models.tokenizer.rvq import RVQVAE
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
from hmu_tasks.training.loop.batches import ClipSet, clip_set
from hmu_tasks.training.loop.code_batches import CodeSet
from hmu_tasks.training.loop.fit import Loss, Schedule, fit
from hmu_tasks.training.loop.history import Values

Part = TypeVar("Part", RVQVAE, CodeNetwork)


@dataclass(frozen=True)
class Course:
    """The teacher and what is learned from it.

    tokenizer, networks: of the teacher, on the device. clips: the retain set; coded: the same in the teacher's codes.
    """

    given: Inputs
    knobs: StudentKnobs
    tokenizer: Tokenizer
    networks: Mapping[str, CodeNetwork]
    clips: ClipSet
    coded: CodeSet

    @property
    def steps(self) -> int:
        """Optimiser steps of all students for one share of noise."""
        return self.knobs.tokenizer.steps + len(self.networks) * self.knobs.networks.steps

    @property
    def captions(self) -> int:
        """Captions of the retain set."""
        return sum(len(row) for row in self.clips.captions)


def prepared(
    given: Inputs,
    knobs: StudentKnobs,
    model: TextToMotion,
    states: Mapping[str, Mapping[str, Tensor]],
    *,
    codes: int,
) -> Course:
    """Build the teacher, `model` with other `states` and `codes`, and encode the retain set by its tokenizer."""
    device = given.device
    network = rebuilt(model.tokenizer.network, states["tokenizer"], codes=codes).to(device)
    tokenizer = Tokenizer(network, model.tokenizer.mean.to(device), model.tokenizer.std.to(device))
    networks = {
        name: rebuilt(one, states[name], codes=codes).to(device) for name, one in model.networks.items()
    }
    clips = clip_set(packed.load(given.clips), given.ids["retain"])
    captions = given.clip_captions["retain"]
    texts = [text for row in captions for text in row]
    rows = embed_texts(given.bundle.text, texts, cache=given.cache, digest=given.bundle.text_digest)
    coded = CodeSet(tokenizer.encode(clips.features), captions, rows)
    return Course(given, knobs, tokenizer, networks, clips, coded)


def students(
    course: Course, noise: int, *, seed: int, before: int, total: int
) -> dict[str, dict[str, Tensor]]:
    """Train a student of the teacher's tokenizer and of each of its networks; returns their states, on the CPU.

    noise: per cent. before, total: steps of earlier students and of all, for the progress. A killed run continues.
    """
    given, knobs = course.given, course.knobs
    parts: dict[str, RVQVAE | CodeNetwork] = {"tokenizer": course.tokenizer.network, **course.networks}
    found, everything = {}, np.zeros(len(course.clips.ids))
    for name, teacher in parts.items():
        own = given.seed + 1000 * seed + sum(name.encode())
        student: RVQVAE | CodeNetwork
        if isinstance(teacher, RVQVAE):
            student = noised(teacher, noise / 100, seed=own)
            lesson, lengths, loss = knobs.tokenizer, everything, tokenizer_loss(student, course)
        else:
            student = noised(teacher, noise / 100, seed=own)
            lesson, lengths = knobs.networks, course.coded.tokens
            loss = network_loss(student, teacher, course.coded, given.device)

        def progress(done: int, _: int, start: int = before) -> None:
            given.progress(start + done, total)

        fit(
            student,
            loss,
            lengths,
            schedule=Schedule(lesson.steps, lesson.batch, lesson.rate, evaluate_every=lesson.steps),
            seed=own,
            device=given.device,
            checkpoint=given.scratch / f"s{seed}" / f"{noise:03d}" / name / "checkpoint.pt",
            progress=progress,
        )
        found[name] = {key: tensor.cpu() for key, tensor in student.state_dict().items()}
        before += lesson.steps
    return found


def noised(network: Part, share: float, *, seed: int) -> Part:
    """Return a copy with parameters (1 - a) W + a N, where a is `share` and N the random initialisation of `seed`.

    Buffers, such as codebooks, stay. The paper scales its noise N by a second factor; here it has its natural size.
    """
    student = copy.deepcopy(network)
    kind: Any = type(network)
    fresh = dict(kind(network.config, seed=seed).named_parameters())
    with torch.no_grad():
        for name, parameter in student.named_parameters():
            parameter.mul_(1.0 - share).add_(fresh[name].to(parameter), alpha=share)
    return student.requires_grad_(True)


def tokenizer_loss(student: RVQVAE, course: Course) -> Loss:
    """Return the loss of a tokenizer with fixed codebooks: the teacher's latents, and motions from its codes."""
    teacher, knobs, clips = course.tokenizer.network, course.knobs, course.clips
    mean, std = course.tokenizer.mean.cpu(), course.tokenizer.std.cpu()
    device = course.given.device

    def loss_of(rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Values]:
        x = clips.windows(rows, knobs.window, generator, mean, std).to(device)
        active = student.sample_active(generator)
        with torch.no_grad():
            wanted = teacher.latent(x).float()
            codes = teacher.quantizer.encode(wanted.flatten(0, 1)).view(*wanted.shape[:2], -1)
        latents = functional.mse_loss(student.latent(x).float(), wanted)
        reconstruction, positions = student.errors(student.decode(codes[..., :active]).float(), x)
        weight = student.config.positions_weight
        loss = reconstruction + weight * positions + knobs.latents * latents
        return loss, {"loss": loss, "reconstruction": reconstruction, "latents": latents}

    return loss_of


def network_loss(student: CodeNetwork, teacher: CodeNetwork, known: CodeSet, device: torch.device) -> Loss:
    """Return the loss of a network: the divergence of its codes' distribution from the teacher's, per token.

    Both read the same random numbers: hidden tokens, dropped texts and dropout are equal.
    """
    teacher = copy.deepcopy(teacher).train()

    def loss_of(rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Values]:
        batch = known.batch(rows, generator, device)
        again = torch.Generator(generator.device)
        again.set_state(generator.get_state())
        found = student.predicted(*batch, generator)
        with torch.no_grad():
            wanted = teacher.predicted(*batch, again)
        apart = [
            functional.kl_div(
                own.logits.float().log_softmax(-1),
                one.logits.float().log_softmax(-1),
                reduction="sum",
                log_target=True,
            )
            for own, one in zip(found, wanted, strict=True)
        ]
        loss = torch.stack(apart).sum() / sum(len(part.target) for part in found)
        return loss, {"loss": loss}

    return loss_of
