"""The evaluators of generated motion: the text-motion evaluator and the violence classifiers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.models.evaluators.classifier import Violence, load_classifiers
from hmu_tasks.models.evaluators.evaluator import Evaluator, load_evaluator
from hmu_tasks.models.evaluators.words import Words, embed_tokens, load_words
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.lengths import UNIT, equal_length_batches


@dataclass(frozen=True)
class Evaluators:
    """The evaluator, which embeds captions and motions, and the violence classifiers by name.

    classifiers: empty where the dataset has no action labels. digest: of the evaluator's folder. classifiers_digest: of
    the classifiers' folder; where they are empty, it says so.
    """

    evaluator: Evaluator
    mean: Tensor
    std: Tensor
    max_words: int
    words: Words
    classifiers: Mapping[str, Violence]
    digest: str
    classifiers_digest: str

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

    def flagged(self, clips: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Say by classifier which of N raw feature clips are violent, [N] bool each."""
        return {name: one.flagged(clips) for name, one in self.classifiers.items()}


def load_evaluators(evaluator: Path, classifier: Path, device: torch.device) -> Evaluators:
    """Read evaluator and classifiers from their component folders."""
    network, mean, std, max_words = load_evaluator(evaluator, device)
    return Evaluators(
        network,
        mean,
        std,
        max_words,
        load_words(evaluator),
        load_classifiers(classifier, device),
        weights.digest(evaluator),
        weights.digest(classifier),
    )
