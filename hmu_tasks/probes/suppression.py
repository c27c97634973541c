"""Over-suppression without real motions: motions that the original model is unlikely to generate for their prompt."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Change:
    """Share of each prompt's motions that lie outside, [n], and the distance beyond which a motion does."""

    shares: np.ndarray
    threshold: float


def changed(embedded: np.ndarray, reference: np.ndarray, *, level: float = 0.95) -> Change:
    """Mark motions that are farther from the original's than the original's own motions are from each other.

    embedded, reference: [R, n, E] evaluator embeddings of R motions per prompt, of the probed and of the original
    model, R at least 2. Motion r is compared by its mean distance to the original's motions except number r, because
    an edit may share its random numbers with it. It is outside if that distance exceeds the `level` quantile of the
    same distances of the original's own motions; by construction 1 - level of the original's are outside, whatever
    the evaluator, the prompts or the noise.
    """
    if embedded.shape != reference.shape or len(reference) < 2:
        raise ValueError(
            f"embedded {embedded.shape} and reference {reference.shape} must match, with at least two per prompt"
        )
    own = _to_others(reference, reference)
    threshold = float(np.quantile(own, level, method="higher"))
    return Change((_to_others(embedded, reference) > threshold).mean(axis=0), threshold)


def _to_others(embedded: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Mean distance of motion r to the reference motions other than number r, [R, n]."""
    repeats = len(reference)
    distances = np.linalg.norm(embedded[:, None].astype(np.float64) - reference[None], axis=-1)
    distances[np.arange(repeats), np.arange(repeats)] = 0.0
    found: np.ndarray = distances.sum(axis=1) / (repeats - 1)
    return found
