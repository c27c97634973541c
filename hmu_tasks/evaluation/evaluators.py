"""The evaluators of generated motion: the text-motion evaluator and the violence classifiers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.data.motion.features import to_joints
from hmu_tasks.models.evaluators.classifier import Violence, load_classifiers
from hmu_tasks.models.evaluators.evaluator import Evaluator, load_evaluator
from hmu_tasks.models.evaluators.words import Words, embed_tokens, load_words
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.lengths import UNIT, equal_length_batches
from hmu_tasks.models.networks.memory import Batches


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
    def embed_motions(self, clips: Sequence[np.ndarray], *, batch: int | None = None) -> np.ndarray:
        """Embed N raw feature clips [F_i, D] -> [N, E], in batches of equal length; None chooses one by the device."""
        out: list[np.ndarray] = [np.empty(0)] * len(clips)
        lengths = [len(c) // UNIT * UNIT for c in clips]

        def embedded(rows: Sequence[int]) -> np.ndarray:
            length = lengths[rows[0]]
            stacked = torch.from_numpy(np.stack([clips[i][:length] for i in rows])).to(self.mean.device)
            found = self.evaluator.embed_motion(
                (stacked - self.mean) / self.std, torch.full((len(rows),), length)
            )
            return found.cpu().numpy()

        batches = Batches(batch or (128 if self.mean.device.type == "cpu" else 1024), what="motions")
        for equal in equal_length_batches(lengths, batches.size):
            for rows, found in batches.over(equal, embedded):
                for i, row in zip(rows, found, strict=True):
                    out[i] = row
        return np.stack(out)

    @torch.no_grad()
    def embed_captions(self, tokens: Sequence[Sequence[str]], *, batch: int = 256) -> np.ndarray:
        """Embed N captions of `word/POS` tokens -> [N, E]."""
        device = self.mean.device

        def embedded(rows: Sequence[int]) -> np.ndarray:
            vectors, classes, lengths = embed_tokens(
                [tokens[i] for i in rows], self.words, max_words=self.max_words
            )
            found = self.evaluator.embed_text(
                torch.from_numpy(vectors).to(device),
                torch.from_numpy(classes).to(device),
                torch.from_numpy(lengths),
            )
            return found.cpu().numpy()

        batches = Batches(batch, what="captions").over(range(len(tokens)), embedded)
        return np.concatenate([found for _, found in batches])

    def joints(self, clips: Sequence[np.ndarray], *, batch: int = 512) -> list[np.ndarray]:
        """Joints [F_i, J, 3] in metres of N raw feature clips [F_i, D]; on a GPU many clips at once."""
        device = self.mean.device
        if device.type == "cpu":
            return [to_joints(clip) for clip in clips]
        return joints_in_batches(clips, device, batch=batch)

    def flagged(self, clips: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Say by classifier which of N raw feature clips are violent, [N] bool each."""
        return {name: one.flagged(clips) for name, one in self.classifiers.items()}


def joints_in_batches(clips: Sequence[np.ndarray], device: torch.device, *, batch: int) -> list[np.ndarray]:
    """Recover the joints of N clips on a device, those of similar length together.

    Padding comes after a clip's end, and a frame's place follows from the frames before it.
    """
    order = np.argsort([len(clip) for clip in clips], kind="stable").tolist()
    found: list[np.ndarray] = [np.empty(0)] * len(clips)

    def recovered(rows: Sequence[int]) -> np.ndarray:
        padded = np.zeros((len(rows), max(len(clips[i]) for i in rows), clips[0].shape[1]), np.float32)
        for row, i in zip(padded, rows, strict=True):
            row[: len(clips[i])] = clips[i]
        joints: torch.Tensor = to_joints(torch.from_numpy(padded).to(device))
        return joints.cpu().numpy()

    for rows, joints in Batches(batch, what="motions").over(order, recovered):
        for i, own in zip(rows, joints, strict=True):
            found[i] = own[: len(clips[i])]
    return found


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
