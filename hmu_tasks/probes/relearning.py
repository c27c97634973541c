"""k-shot relearning: how few steps on how few forget clips bring an unlearned concept back.

The attack of Li et al. 2024, "The WMDP Benchmark" (arXiv 2403.03218, section 5.3), and Hu et al. 2024, "Jogging the
Memory of Unlearned Models Through Targeted Relearning Attacks" (arXiv 2406.13356), on text-to-motion models.
"""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.methods.shared.tuning import Objective, tune
from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.models.text.embeddings import embed_texts
from hmu_tasks.probes.attacked import exchanged
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.training.loop.batches import ClipSet
from hmu_tasks.training.loop.code_batches import CodeSet
from hmu_tasks.training.loop.history import Values

RATE = 5e-4
BATCH = 16
STREAM = 11  # of the choice of clips, apart from the training's own streams


def relearn(
    bundle: Bundle,
    clips: ClipSet,
    *,
    shots: int,
    steps: Sequence[int],
    rate: float = RATE,
    batch: int = BATCH,
    seed: int,
    device: torch.device,
) -> Mapping[int, Bundle]:
    """Continue training the networks on `shots` random forget clips; one attacked bundle per number of steps.

    clips: forget clips of the training split with their captions. steps: optimiser steps of each
    network, at a constant rate. The choice of clips depends on the seed alone; fewer shots are the first of more.

    The attacker has the edited bundle, a few clips, and nothing of the original. Clips become codes through the
    bundle's own encoder and *edited* codebooks, and motions come from the same codebooks. Where rows were replaced
    (LCR), hardly any latent of a clip is nearest to an overwritten row, so the networks learn to express the motion
    in the remaining codes: what the edited codebooks can still represent bounds what relearning regains.
    Raises DataError where there are fewer clips than shots.
    """
    chosen = chosen_clips(clips, shots, seed=seed)
    captions = [[caption.text for caption in clips.captions[i]] for i in chosen]
    rows = embed_texts(bundle.text, [text for row in captions for text in row])
    known = CodeSet(bundle.model.tokenizer.encode([clips.features[i] for i in chosen]), captions, rows)

    def loss_of(network: CodeNetwork, rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Values]:
        return network.training_loss(*known.batch(rows, generator, device), generator).loss, {}

    def learnt(name: str) -> dict[int, CodeNetwork]:
        network = bundle.model.networks[name]
        # The loop keeps its checkpoint on disk; an attack of seconds is not worth continuing.
        with TemporaryDirectory() as scratch:
            states = tune(
                network,
                Objective(loss_of, known.tokens),
                steps=steps,
                batch=batch,
                rate=rate,
                seed=seed,
                device=device,
                scratch=Path(scratch),
                progress=None,
            )
        return {count: _with_weights(network, state) for count, state in states.items()}

    found = {name: learnt(name) for name in bundle.model.networks}
    return {
        count: exchanged(bundle, **{name: states[count] for name, states in found.items()})
        for count in sorted(set(steps))
    }


def chosen_clips(clips: ClipSet, shots: int, *, seed: int) -> np.ndarray:
    """Choose an attacker's clips, [shots] indices; DataError where there are fewer."""
    if shots < 1:
        raise ValueError(f"shots must be at least 1, not {shots}")
    if len(clips.ids) < shots:
        raise DataError(
            f"an attack with {shots} clips needs as many, but the training split has {len(clips.ids)}; lower "
            "probe.relearning.shots and probe.relearning.safe_shots"
        )
    order: np.ndarray = np.random.default_rng([seed, STREAM]).permutation(len(clips.ids))
    return order[:shots]


def _with_weights(network: CodeNetwork, state: Mapping[str, Tensor]) -> CodeNetwork:
    """Return a copy of a network with other weights; its other state, such as a negative text, is kept."""
    other = copy.deepcopy(network)
    other.load_state_dict(state)
    return other
