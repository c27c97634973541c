"""A tokenizer that learns from another one: a noised copy of encoder and decoder, trained on the retain set.

UNDO, unlearn, noise, distil on outputs (Lee et al. 2025, arXiv 2506.06278), for an RVQ-VAE whose codebooks stay.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hmu_tasks.data.clips import packed
from hmu_tasks.methods.shared.code_tables import rebuilt
from hmu_tasks.methods.shared.inputs import Inputs
from hmu_tasks.models.tokenizer.rvq import RVQVAE
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
from hmu_tasks.runtime.progress import Progress
from hmu_tasks.training.loop.batches import ClipSet, clip_set
from hmu_tasks.training.loop.fit import Loss, Schedule, fit
from hmu_tasks.training.loop.history import Values


@dataclass(frozen=True)
class Lesson:
    """How a student learns.

    noise: share of its first parameters that is a random initialisation's. latents: weight of the encoder's error
    beside the decoder's. window: frames. steps, batch, rate: of the training, with warm-up and cosine decay.
    """

    noise: float
    latents: float
    window: int
    steps: int
    batch: int
    rate: float


def student(
    given: Inputs, state: Mapping[str, Tensor], lesson: Lesson, *, seed: int, progress: Progress
) -> dict[str, Tensor]:
    """Train a student of the original's tokenizer with another `state`; returns its state, on the CPU.

    state: of the teacher, with any number of codes. A killed run continues and ends with the same bytes.
    """
    tokenizer, device = given.tokenizer, given.device
    codes = next(len(tensor) for name, tensor in state.items() if name.endswith("codebook"))
    teacher = rebuilt(tokenizer.network, state, codes=codes).to(device)
    own = given.seed + 1000 * seed
    learner = noised(teacher, lesson.noise, seed=own)
    clips = clip_set(packed.load(given.clips), given.ids["retain"])
    fit(
        learner,
        distillation_loss(learner, Tokenizer(teacher, tokenizer.mean, tokenizer.std), clips, lesson),
        np.zeros(len(clips.ids)),
        schedule=Schedule(lesson.steps, lesson.batch, lesson.rate, evaluate_every=lesson.steps),
        seed=own,
        device=device,
        checkpoint=given.scratch / f"s{seed}" / f"codes-{codes}" / "checkpoint.pt",
        progress=progress,
    )
    progress(lesson.steps, lesson.steps)  # a finished training that is taken up again reports nothing
    return {name: tensor.cpu() for name, tensor in learner.state_dict().items()}


def noised(network: RVQVAE, share: float, *, seed: int) -> RVQVAE:
    """Return a copy with parameters (1 - a) W + a N, where a is `share` and N the random initialisation of `seed`.

    Codebooks, which are buffers, stay. The paper scales its noise by a second factor; here N has its natural size.
    """
    found = copy.deepcopy(network)
    fresh = dict(RVQVAE(network.config, seed=seed).named_parameters())
    with torch.no_grad():
        for name, parameter in found.named_parameters():
            parameter.mul_(1.0 - share).add_(fresh[name].to(parameter), alpha=share)
    return found.requires_grad_(True)


def distillation_loss(learner: RVQVAE, teacher: Tokenizer, clips: ClipSet, lesson: Lesson) -> Loss:
    """Return the loss on random windows, of the encoder and of the decoder.

    The encoder's is the mean square distance to the teacher's latents, the decoder's the tokenizer's training loss
    (Guo et al. 2024, equation 2) from the teacher's codes. teacher: its network is on the device of the learner; its
    statistics normalise the windows.
    """
    network, mean, std = teacher.network, teacher.mean.cpu(), teacher.std.cpu()
    device = network.codebooks.device

    def loss_of(rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Values]:
        x = clips.windows(rows, lesson.window, generator, mean, std).to(device)
        active = learner.sample_active(generator)
        with torch.no_grad():
            wanted = network.latent(x).float()
            codes = network.quantizer.encode(wanted.flatten(0, 1)).view(*wanted.shape[:2], -1)
        latents = functional.mse_loss(learner.latent(x).float(), wanted)
        reconstruction, positions = learner.errors(learner.decode(codes[..., :active]).float(), x)
        loss = reconstruction + learner.config.positions_weight * positions + lesson.latents * latents
        return loss, {"loss": loss, "reconstruction": reconstruction, "latents": latents}

    return loss_of
