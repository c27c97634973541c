"""A tokenizer in use: the RVQ-VAE with its statistics, raw features in and out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.models.networks.components import (
    build_config,
    build_network,
    load_config,
    load_statistics,
    load_weights,
)
from hmu_tasks.models.networks.lengths import UNIT, equal_length_batches
from hmu_tasks.models.networks.memory import Batches, suited
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig


@dataclass(frozen=True)
class Tokenizer:
    """An RVQ-VAE with the statistics that normalise its input: raw features in, raw features out."""

    network: RVQVAE
    mean: Tensor  # [D]
    std: Tensor  # [D]

    @torch.no_grad()
    def encode(self, clips: Sequence[np.ndarray], *, batch: int | None = None) -> list[np.ndarray]:
        """Encode clips of any length in batches of equal length, so that padding never exists.

        clips: N raw feature arrays [F_i, D], cut to a multiple of four frames. batch: None chooses it by the device.
        Returns N code arrays [F_i // 4, Q].
        """
        codes: list[np.ndarray] = [np.empty(0)] * len(clips)
        tokens = [len(clip) // UNIT for clip in clips]

        def encoded(rows: Sequence[int]) -> np.ndarray:
            length = tokens[rows[0]] * UNIT
            stacked = torch.from_numpy(np.stack([clips[i][:length] for i in rows]))
            return self.network.encode(self._normalise(stacked)).cpu().numpy()

        batches = Batches(batch or self._batch, what="clips")
        for equal in equal_length_batches(tokens, batches.size):
            for rows, found in batches.over(equal, encoded):
                for i, row in zip(rows, found, strict=True):
                    codes[i] = row
        return codes

    def latents(self, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Quantised latents of N code arrays [T_i, Q]: the sum of their rows over all layers, N arrays [T_i, C]."""
        books = self.codebooks.cpu().numpy()
        layers = np.arange(len(books))
        return [books[layers, clip].sum(axis=1) for clip in codes]

    @torch.no_grad()
    def decode(self, codes: Sequence[np.ndarray], *, batch: int | None = None) -> list[np.ndarray]:
        """Decode N code arrays [T_i, Q] to N raw feature arrays [4 T_i, D], in batches of equal length."""
        clips: list[np.ndarray] = [np.empty(0)] * len(codes)

        def decoded(rows: Sequence[int]) -> np.ndarray:
            stacked = torch.from_numpy(np.stack([codes[i] for i in rows])).to(self.mean.device)
            return (self.network.decode(stacked) * self.std + self.mean).cpu().numpy()

        batches = Batches(suited(batch or self._batch, self.mean.device), what="motions")
        for equal in equal_length_batches([len(c) for c in codes], batches.size):
            for rows, found in batches.over(equal, decoded):
                for i, row in zip(rows, found, strict=True):
                    clips[i] = row
        return clips

    @property
    def _batch(self) -> int:
        return 64 if self.mean.device.type == "cpu" else 512

    def _normalise(self, features: Tensor) -> Tensor:
        return (features.to(self.mean.device) - self.mean) / self.std

    @property
    def codebooks(self) -> Tensor:
        """Codebooks of all layers, [Q, K, C]."""
        return self.network.codebooks


def load_tokenizer(folder: Path, device: torch.device) -> Tokenizer:
    """Read a tokenizer with its statistics."""
    sizes = build_config(TokenizerConfig, load_config(folder), folder)
    network = load_weights(build_network(RVQVAE, sizes, folder), folder, device)
    mean, std = load_statistics(folder, device)
    return Tokenizer(network, mean, std)
