"""Training of the RVQ-VAE tokenizer on random windows."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Unpack

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.data.clips import packed
from hmu_tasks.models.networks.components import save_network, save_statistics
from hmu_tasks.models.networks.layers import uniform
from hmu_tasks.models.networks.memory import Batches
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.runtime import paths
from hmu_tasks.training.loop.batches import ClipSet
from hmu_tasks.training.loop.fit import FitOptions, Loss, Trained, fit
from hmu_tasks.training.loop.history import History, Values
from hmu_tasks.training.loop.job import Job, split_of, statistics
from hmu_tasks.training.loop.recorded import FixedLoss, StepInputs
from hmu_tasks.training.loop.resident import Ragged, fits, pinned


def resident_windows(
    clips: Ragged, which: Tensor, window: int, generator: torch.Generator, mean: Tensor, std: Tensor
) -> Tensor:
    """Cut the windows of `ClipSet.windows` where the clips are kept, by the step's generator there: [B, window, D].

    which: [B] numbers of the clips. All tensors are on one device.
    """
    places = uniform((len(which),), generator, which.device).double()
    starts = (places * ((clips.lengths[which] - window).clamp(min=0) + 1)).long()
    return (clips.take(which, window, starts, hold=True).float() - mean) / std


def window_loss(
    network: RVQVAE, train: ClipSet, window: int, mean: Tensor, std: Tensor, device: torch.device
) -> Loss:
    """Return the training loss on random windows.

    On a CUDA device the windows are cut there, or on the host where the clips do not fit into its memory.
    """

    def scored(cut: Tensor, generator: torch.Generator, active: int | None = None) -> tuple[Tensor, Values]:
        found = network.training_loss(cut, generator=generator, active=active)
        return found.loss, {
            "loss": found.loss,
            "reconstruction": found.reconstruction,
            "commitment": found.commitment,
            "perplexity": found.perplexity,
        }

    if device.type == "cpu":
        return lambda rows, generator: scored(
            train.windows(rows, window, generator, mean, std).to(device), generator
        )
    clips = Ragged(train.features, device) if fits(train.features, device, what="clips") else None
    own_mean, own_std = mean.to(device), std.to(device)

    def prepare(rows: np.ndarray, generator: torch.Generator) -> StepInputs:
        # The first step sets up all codebooks, so that later ones need not look whether there are any.
        all_layers = network.config.quantizers
        active = network.sample_active(generator) if network.quantizer.started else all_layers
        if clips is None:
            return StepInputs((pinned(train.windows(rows, window, generator, mean, std), device),), active)
        return StepInputs((pinned(torch.from_numpy(rows), device),), active)

    def compute(inputs: StepInputs, generator: torch.Generator) -> tuple[Tensor, Values]:
        (given,), active = inputs.tensors, inputs.key
        assert isinstance(active, int)
        if clips is not None:
            given = resident_windows(clips, given, window, generator, own_mean, own_std)
        return scored(given, generator, active)

    return FixedLoss(prepare, compute)


def train_tokenizer(
    network: RVQVAE,
    train: ClipSet,
    val: ClipSet,
    *,
    mean: Tensor,
    std: Tensor,
    window: int,
    **options: Unpack[FitOptions],
) -> Trained:
    """Train the tokenizer (Guo et al. 2024, section 3.1) on windows of `window` frames."""
    device = options["device"]
    batches = Batches(max(len(val.ids), 1), what="clips")

    def validate() -> float:
        generator = torch.Generator().manual_seed(options["seed"])
        windows = val.windows(np.arange(len(val.ids)), window, generator, mean, std)

        def missed(rows: Sequence[int]) -> float:
            cut = windows[rows[0] : rows[-1] + 1].to(device)
            return float((network.decode(network.encode(cut)) - cut).abs().mean())

        return batches.mean(range(len(windows)), missed)

    return fit(
        network,
        window_loss(network, train, window, mean, std, device),
        np.zeros(len(train.ids)),
        validate=validate,
        one_shape=True,
        **options,
    )


def train(job: Job) -> History:
    """Train the RVQ-VAE of one variant, and write it with the statistics that normalise its input."""
    knobs = job.params.train.tokenizer
    clips = packed.load(paths.CLIPS)
    mean, std = statistics(clips, knobs.feature_bias)
    local = clips.layout.local_positions
    config = TokenizerConfig(
        features=len(mean),
        positions_start=local.start,
        positions_stop=local.stop,
        width=knobs.width,
        code_width=knobs.code_width,
        codes=knobs.codes,
        quantizers=knobs.quantizers,
        depth=knobs.depth,
        dropout=knobs.dropout,
        sample_temperature=knobs.sample_temperature,
        positions_weight=knobs.positions_weight,
    )
    network = RVQVAE(config, seed=job.seed("tokenizer"))
    trained = train_tokenizer(
        network.to(job.device),
        split_of(clips, "train", job.variant),
        split_of(clips, "val", job.variant),
        mean=mean,
        std=std,
        window=knobs.window,
        **job.common("tokenizer", knobs),
    )
    save_network(network.cpu(), asdict(config), job.folder)
    save_statistics(mean, std, job.folder)
    return trained.history
