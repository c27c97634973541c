"""Records that evaluation and probing write and that report and registry read: one per measured value.

Records are plain JSON objects. `Estimate` holds what both kinds have in common: a value with its interval.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NotRequired, TypedDict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Estimate(TypedDict):
    """A mean with its 95 % limits, None where there are none, and n, the number of prompts behind it.

    values: one per repeat, where repeats are kept apart. replicates: [B] of the crossed cluster bootstrap
    (`metrics.bootstrap`), paired between models; they lie beside the records in replicates.npz. uncapped: a gap closure
    before it is capped at 1, as its replicates are.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    values: NotRequired[Sequence[float]]
    replicates: NotRequired["NDArray[np.floating]"]
    uncapped: NotRequired[float]


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

    interval: where the limits come from: "bootstrap", "jackknife" (bootstrap of influence values), "wilson" for a share
    of 0 or 1, "newcombe" for a difference of two such shares, None without limits.
    repeats: how often the whole split was generated. bundle: digest of what was measured. evaluator, classifiers:
    digests of the folders of the evaluator and of the violence classifiers that measured it.
    width: of the embeddings behind an FID.
    """

    split: str
    metric: str
    repeats: int
    interval: NotRequired[str | None]
    bundle: NotRequired[str]
    evaluator: NotRequired[str]
    classifiers: NotRequired[str]
    width: NotRequired[int]


class ProbeRecord(Identity, Estimate):
    """Success rate of one attack on one edit, as in probe.json; the attack's own details stand beside these keys.

    prompts: name of the set of prompts, where it is not that of captions of forget test clips. classifiers: the rate by
    each classifier; the mean is the largest of them. shares: by classifier, of each prompt [n]; attacks on fewer
    prompts take the first ones. drawn: where an attacker's clips were drawn several times, the shares of each draw,
    [draws][n]; `shares` then are their means. inapplicable: why the attack can do nothing to such a model, None where
    it can; the rate is then that without an attack.
    """

    attack: str
    family: str
    prompts: NotRequired[str]
    classifiers: NotRequired[Mapping[str, float]]
    shares: NotRequired[Mapping[str, Sequence[float]]]
    drawn: NotRequired[Mapping[str, Sequence[Sequence[float]]]]
    inapplicable: NotRequired[str | None]
    bundle: NotRequired[str]


ENDS = ("original", "retrain")
"""The two models between which every method lies: nothing unlearned, and D_r, trained without the forget set."""
DATA_ROWS = ("real", "fresh-real", "reconstruction-full", "reconstruction-retrain", "resampled")
"""Values of `method` that are no model: test motions, new ones of their grammar, test motions after the tokenizer, and
test motions whose first layer of codes is kept while a model samples the others."""
