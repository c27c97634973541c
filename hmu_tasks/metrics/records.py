"""Records that evaluation and probing write and that report and registry read: one per measured value.

Records are plain JSON objects. `Estimate` holds what both kinds have in common: a value with its interval.
"""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict


class Estimate(TypedDict):
    """A mean with its 95 % limits, None where there are none, and n, the number of prompts behind it.

    values: one per repeat, if repeats are kept separately.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    values: NotRequired[Sequence[float]]


class Identity(TypedDict):
    """The measured cell. strength: None for a method without strengths; edit, seed: None for the data itself."""

    dataset: str
    concept: str
    model: str
    method: str
    edit: str | None
    strength: int | None
    seed: int | None


def labelled(
    cell: Mapping[str, str], *, edit: str | None, strength: int | None, seed: int | None
) -> Identity:
    """Complete the identity of a cell (dataset, concept, model, method) by the edit that was measured."""
    return {
        "dataset": cell["dataset"],
        "concept": cell["concept"],
        "model": cell["model"],
        "method": cell["method"],
        "edit": edit,
        "strength": strength,
        "seed": seed,
    }


class Record(Identity, Estimate):
    """A metric of one edit on one split, as in metrics.json.

    interval: where the limits come from: "repeats", "bootstrap", "wilson", None without limits.
    repeats: how often the whole split was generated. bundle, evaluator: digests of what was measured and by what.
    width: of the embeddings behind an FID.
    """

    split: str
    metric: str
    repeats: int
    interval: NotRequired[str | None]
    bundle: NotRequired[str]
    evaluator: NotRequired[str]
    width: NotRequired[int]


class ProbeRecord(Identity, Estimate):
    """Success rate of one attack on one edit, as in probe.json; the attack's own details stand beside these keys."""

    attack: str
    family: str
    bundle: NotRequired[str]


# Values of `method` that are not models: motions of the dataset itself, and their reconstructions by the tokenizer.
ENDS = ("original", "retrain")
"""The two models between which every method lies: nothing unlearned, and D_r, trained without the forget set."""
DATA_ROWS = ("real", "reconstruction-full", "reconstruction-retrain")
