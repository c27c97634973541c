"""Which captions speak of the concept, by the rule that divided the clips."""

from collections.abc import Callable, Sequence

import numpy as np

from hmu_tasks.data.concepts.concepts import Concept
from hmu_tasks.data.concepts.matching import match
from hmu_tasks.training.loop.batches import CaptionWords


def keyword_test(
    concept: Concept, *, dataset: str, rule: str
) -> Callable[[Sequence[CaptionWords]], np.ndarray]:
    """Return a function that marks which of N captions contain a keyword of the concept, [N] bool.

    rule: `filter.rule`. Raises ConfigError for an unknown one.
    """

    known: dict[tuple[str, str], bool] = {}

    def test(captions: Sequence[CaptionWords]) -> np.ndarray:
        asked = [(caption.text, " ".join(caption.tokens)) for caption in captions]
        new = [pair for pair in dict.fromkeys(asked) if pair not in known]
        found = match(
            {"caption": [text for text, _ in new], "tokens": [tokens for _, tokens in new]},
            concept,
            dataset=dataset,
            rule=rule,
        )
        known.update(zip(new, map(bool, found), strict=True))
        return np.array([known[pair] for pair in asked], dtype=bool)

    return test
