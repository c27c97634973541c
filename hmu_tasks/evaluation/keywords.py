"""Which captions speak of the concept, by the rule that divided the clips."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from hmu_tasks.data.concepts import Concept
from hmu_tasks.data.matching import match
from hmu_tasks.training.batches import Caption


def keyword_test(concept: Concept, *, dataset: str, rule: str) -> Callable[[Sequence[Caption]], np.ndarray]:
    """Return a function that says of N captions which hold a keyword of the concept, [N] bool.

    rule: `filter.rule`. Raises ConfigError for an unknown one.
    """

    def test(captions: Sequence[Caption]) -> np.ndarray:
        table = pd.DataFrame(
            {
                "caption": [caption.text for caption in captions],
                "tokens": [" ".join(caption.tokens) for caption in captions],
            }
        )
        return np.array(
            [bool(hits) for hits in match(table, concept, dataset=dataset, rule=rule)], dtype=bool
        )

    return test
