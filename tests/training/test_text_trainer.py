import torch

from hmu_tasks.models.text.embeddings import padded
from hmu_tasks.models.text.encoders import SmallTextConfig, SmallTextEncoder
from hmu_tasks.training.text import whiten

WORDS = ("walks", "kicks", "turns", "waves", "sits", "jumps", "bows", "runs")


def texts() -> list[str]:
    return [f"a person {a} and {b} then {c}" for a in WORDS for b in WORDS for c in WORDS]


def sentences(encoder: SmallTextEncoder) -> torch.Tensor:
    return padded(encoder.encode(texts()))[:, 0]


def participation(vectors: torch.Tensor) -> float:
    """Effective number of directions: the variance shared out evenly would need as many."""
    variance = torch.linalg.svdvals(vectors - vectors.mean(0)).square()
    return float(variance.sum() ** 2 / variance.square().sum())


def test_whitened_vectors_fill_all_directions_and_have_the_asked_length() -> None:
    encoder = SmallTextEncoder(SmallTextConfig(width=16, word_width=8, buckets=512), seed=3).eval()
    before = sentences(encoder)

    whiten(encoder, texts(), shrinkage=1e-6, length=7.0)

    after = sentences(encoder)
    assert participation(before) < 10
    assert participation(after) > 15.9
    torch.testing.assert_close(after.mean(0), torch.zeros(16), atol=1e-3, rtol=0)
    torch.testing.assert_close(after.norm(dim=1).mean(), torch.tensor(7.0), atol=1e-3, rtol=0)


def test_empty_directions_are_not_blown_up() -> None:
    encoder = SmallTextEncoder(SmallTextConfig(width=16, word_width=8, buckets=512), seed=3).eval()

    whiten(encoder, texts()[:3])

    assert sentences(encoder).isfinite().all()
