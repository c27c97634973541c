"""Students of a pruned model: noised copies of its parts that learn from it on the retain set.

UNDO, unlearn, noise, distil on outputs (Lee et al. 2025, arXiv 2506.06278), for a tokenizer and networks of codes.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hmu_tasks.data.clips import packed
from hmu_tasks.methods.shared.code_tables import rebuilt
from hmu_tasks.methods.shared.inputs import Inputs
from hmu_tasks.methods.shared.knobs import LessonKnobs
from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.models.generators.text_to_motion import TextToMotion
from hmu_tasks.models.networks.device import full_precision
from hmu_tasks.models.tokenizer.rvq import RVQVAE
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
from hmu_tasks.runtime.progress import Progress
from hmu_tasks.training.loop.batches import ClipSet, clip_set
from hmu_tasks.training.loop.code_batches import CodeSet
from hmu_tasks.training.loop.fit import Loss, Schedule, fit
from hmu_tasks.training.loop.history import Values

Part = TypeVar("Part", RVQVAE, CodeNetwork)


@dataclass(frozen=True)
class Lesson:
    """One training of a student: its knobs, the seed of noise and batches, and who is told of it.

    checkpoint: a killed training continues from it and ends with the same bytes.
    """

    knobs: LessonKnobs
    seed: int
    checkpoint: Path
    progress: Progress


@dataclass(frozen=True)
class Teacher:
    """A pruned model: `model` with other `states` of tokenizer and networks, which have `codes` codes per layer."""

    given: Inputs
    model: TextToMotion
    states: Mapping[str, Mapping[str, Tensor]]
    codes: int

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Its tokenizer, on the device."""
        own, device = self.model.tokenizer, self.given.device
        network = rebuilt(own.network, self.states["tokenizer"], codes=self.codes)
        return Tokenizer(network.to(device), own.mean.to(device), own.std.to(device))

    def network(self, name: str) -> CodeNetwork:
        """One of its networks, on the device."""
        found = rebuilt(self.model.networks[name], self.states[name], codes=self.codes)
        return found.to(self.given.device)

    @cached_property
    def clips(self) -> ClipSet:
        """The retain clips of the training split."""
        return clip_set(packed.load(self.given.clips), self.given.ids["retain"])

    @property
    def captions(self) -> int:
        """How many captions these have."""
        return sum(len(row) for row in self.clips.captions)

    @cached_property
    def coded(self) -> CodeSet:
        """The retain clips in the codes of its tokenizer, with their embedded captions."""
        captions = self.given.clip_captions["retain"]
        rows = self.given.rows([text for row in captions for text in row])
        return CodeSet(self.tokenizer.encode(self.clips.features), captions, rows)


def tokenizer_student(teacher: Teacher, lesson: Lesson, *, window: int, latents: float) -> dict[str, Tensor]:
    """Train a student of the tokenizer, with its codebooks; returns its state, on the CPU.

    window: frames of a training window. latents: weight of the encoder's error beside the decoder's.
    """
    student = noised(teacher.tokenizer.network, lesson.knobs.noise, seed=lesson.seed)
    loss = tokenizer_loss(student, teacher.tokenizer, teacher.clips, window=window, latents=latents)
    return _taught(student, loss, np.zeros(len(teacher.clips.ids)), lesson, teacher.given.device)


def network_student(teacher: Teacher, name: str, lesson: Lesson, *, imitation: float) -> dict[str, Tensor]:
    """Train a student of a network; returns its state, on the CPU.

    imitation: weight of the divergence from the teacher; the rest is that of the training loss.
    """
    own = teacher.network(name)
    student = noised(own, lesson.knobs.noise, seed=lesson.seed)
    loss = network_loss(student, own, teacher.coded, teacher.given.device, imitation=imitation)
    return _taught(student, loss, teacher.coded.tokens, lesson, teacher.given.device)


def _taught(
    student: RVQVAE | CodeNetwork, loss: Loss, lengths: np.ndarray, lesson: Lesson, device: torch.device
) -> dict[str, Tensor]:
    steps, batch, rate = lesson.knobs.steps, lesson.knobs.batch, lesson.knobs.rate
    fit(
        student,
        loss,
        lengths,
        schedule=Schedule(steps, batch, rate, evaluate_every=max(steps // 10, 1)),
        seed=lesson.seed,
        device=device,
        checkpoint=lesson.checkpoint,
        progress=lesson.progress,
    )
    lesson.progress(steps, steps)  # a finished training that is taken up again reports nothing
    return {name: tensor.cpu() for name, tensor in student.state_dict().items()}


def noised(network: Part, share: float, *, seed: int) -> Part:
    """Return a copy with parameters (1 - a) W + a N, where a is `share` and N the random initialisation of `seed`.

    Buffers, such as codebooks, stay. The paper scales its noise by a second factor; here N has its natural size.
    """
    found = copy.deepcopy(network)
    kind: Any = type(network)
    fresh = dict(kind(network.config, seed=seed).named_parameters())
    with torch.no_grad():
        for name, parameter in found.named_parameters():
            parameter.mul_(1.0 - share).add_(fresh[name].to(parameter), alpha=share)
    return found.requires_grad_(True)


def tokenizer_loss(
    student: RVQVAE, teacher: Tokenizer, clips: ClipSet, *, window: int, latents: float
) -> Loss:
    """Return the loss on random windows, of the encoder and of the decoder.

    The encoder's is the mean square distance to the teacher's latents, the decoder's the tokenizer's training loss
    (Guo et al. 2024, equation 2) from the teacher's codes. teacher: on the device of the student; its statistics
    normalise the windows.
    """
    network, mean, std = teacher.network, teacher.mean.cpu(), teacher.std.cpu()
    device = network.codebooks.device

    def loss_of(rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Values]:
        x = clips.windows(rows, window, generator, mean, std).to(device)
        active = student.sample_active(generator)
        # In full precision while training, too: a code is the nearest one, and the next layers start from it.
        with torch.no_grad(), torch.autocast(device.type, enabled=False), full_precision():
            wanted = network.latent(x)
            codes = network.quantizer.encode(wanted.flatten(0, 1)).view(*wanted.shape[:2], -1)
        apart = functional.mse_loss(student.latent(x).float(), wanted)
        reconstruction, positions = student.errors(student.decode(codes[..., :active]).float(), x)
        loss = reconstruction + student.config.positions_weight * positions + latents * apart
        return loss, {"loss": loss, "reconstruction": reconstruction, "latents": apart}

    return loss_of


def network_loss(
    student: CodeNetwork, teacher: CodeNetwork, known: CodeSet, device: torch.device, *, imitation: float
) -> Loss:
    """Return the loss per token: the Kullback-Leibler divergence from the teacher, and the cross-entropy of the codes.

    Both networks read the same random numbers: hidden tokens, dropped texts and dropout are equal.
    """
    teacher = copy.deepcopy(teacher).train()

    def loss_of(rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Values]:
        batch = known.batch(rows, generator, device)
        again = torch.Generator(generator.device)
        again.set_state(generator.get_state())
        found = student.predicted(*batch, generator)
        with torch.no_grad():
            wanted = teacher.predicted(*batch, again)
        tokens = sum(len(part.target) for part in found)
        apart = [
            functional.kl_div(
                own.logits.float().log_softmax(-1),
                one.logits.float().log_softmax(-1),
                reduction="sum",
                log_target=True,
            )
            for own, one in zip(found, wanted, strict=True)
        ]
        learned = [functional.cross_entropy(p.logits.float(), p.target, reduction="sum") for p in found]
        divergence, entropy = torch.stack(apart).sum() / tokens, torch.stack(learned).sum() / tokens
        loss = imitation * divergence + (1.0 - imitation) * entropy
        return loss, {"loss": loss, "divergence": divergence, "cross-entropy": entropy}

    return loss_of
