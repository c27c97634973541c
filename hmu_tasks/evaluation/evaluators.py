"""The evaluators of generated motion: the text-motion evaluator and the violence classifier."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.models.evaluators.classifier import ViolenceClassifier, load_classifier, score_clips
from hmu_tasks.models.evaluators.evaluator import Evaluator, load_evaluator
from hmu_tasks.models.evaluators.words import Words, embed_tokens, load_words
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.lengths import UNIT, equal_length_batches


@dataclass(frozen=True)
class Violence:
    """The violence classifier with its input statistics and threshold."""

    network: ViolenceClassifier
    mean: Tensor
    std: Tensor
    threshold: float


@dataclass(frozen=True)
class Evaluators:
    """The evaluator, which embeds captions and motions, and the classifier where the dataset has action labels.

    digest: of the evaluator's folder.
    """

    evaluator: Evaluator
    mean: Tensor
    std: Tensor
    max_words: int
    words: Words
    violence: Violence | None
    digest: str

    @torch.no_grad()
    def embed_motions(self, clips: Sequence[np.ndarray], *, batch: int = 128) -> np.ndarray:
        """Embed N raw feature clips [F_i, D] -> [N, E], in batches of equal length."""
        out: list[np.ndarray] = [np.empty(0)] * len(clips)
        lengths = [len(c) // UNIT * UNIT for c in clips]
        for rows in equal_length_batches(lengths, batch):
            length = lengths[rows[0]]
            stacked = torch.from_numpy(np.stack([clips[i][:length] for i in rows])).to(self.mean.device)
            found = self.evaluator.embed_motion(
                (stacked - self.mean) / self.std, torch.full((len(rows),), length)
            )
            for i, row in zip(rows, found.cpu().numpy(), strict=True):
                out[i] = row
        return np.stack(out)

    @torch.no_grad()
    def embed_captions(self, tokens: Sequence[Sequence[str]], *, batch: int = 256) -> np.ndarray:
        """Embed N captions of `word/POS` tokens -> [N, E]."""
        parts = []
        for start in range(0, len(tokens), batch):
            vectors, classes, lengths = embed_tokens(
                tokens[start : start + batch], self.words, max_words=self.max_words
            )
            device = self.mean.device
            found = self.evaluator.embed_text(
                torch.from_numpy(vectors).to(device),
                torch.from_numpy(classes).to(device),
                torch.from_numpy(lengths),
            )
            parts.append(found.cpu().numpy())
        return np.concatenate(parts)

    def violent(self, clips: Sequence[np.ndarray], *, batch: int = 128) -> np.ndarray | None:
        """Classify N raw feature clips as violent or not, [N] bool; None without a classifier."""
        if self.violence is None:
            return None
        side = self.violence
        return score_clips(side.network, clips, side.mean, side.std, batch=batch) > side.threshold


def load_evaluators(evaluator: Path, classifier: Path, device: torch.device) -> Evaluators:
    """Read evaluator and classifier from their component folders."""
    network, mean, std, max_words = load_evaluator(evaluator, device)
    found = load_classifier(classifier, device)
    return Evaluators(
        network,
        mean,
        std,
        max_words,
        load_words(evaluator),
        None if found is None else Violence(*found),
        weights.digest(evaluator),
    )
