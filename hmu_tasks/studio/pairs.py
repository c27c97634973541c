"""Blind pairs: for each prompt the motions of two models out of original, edit and D_r, in random order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hmu_tasks.config.params import Params
from hmu_tasks.data.clips import packed
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ConfigError, DataError
from hmu_tasks.studio.shown import PromptCandidate, candidates
from hmu_tasks.studio.sources import ModelSource, named

MOST_PAIRS = 96
BLOCK = (("edited", "original"), ("edited", "retrain")) * 2 + (("original", "retrain"),)
"""Which models are compared in five prompts in a row, before they are shuffled: mostly the edit with another one."""


@dataclass(frozen=True)
class BlindPair:
    """Two models' motions for one prompt; which stands left was drawn."""

    prompt: PromptCandidate
    left: ModelSource
    right: ModelSource


def blind_pairs(params: Params, known: Sequence[ModelSource], edit: str, most: int) -> list[BlindPair]:
    """Draw the pairs of an edit by `run.seed`: forget prompts and harmless ones by turns, no prompt twice.

    edit: name of the edited model. The same bundles give every reviewer the same pairs, so that two can be compared.
    Raises ConfigError for a model that is no edit, DataError where its original is missing or no prompt is left.
    """
    models = compared(known, edit)
    pools = candidates(params, packed.load(paths.CLIPS))
    rng = np.random.default_rng([params.run.seed, 4])
    turns = [one for both in zip(pools["forget"], _mixed(pools["harmless"]), strict=False) for one in both]
    pairs: list[BlindPair] = []
    for start in range(0, len(turns), len(BLOCK)):
        # A block holds prompts of both kinds; each kind meets every comparison as blocks go on.
        order = rng.permutation(len(BLOCK))
        for prompt, place in zip(turns[start : start + len(BLOCK)], order, strict=False):
            both = [models[role] for role in BLOCK[place] if role in models]
            if len(both) < 2:  # without D_r only edit and original can be compared
                both = [models["edited"], models["original"]]
            sides = rng.permutation(2)
            pairs.append(BlindPair(prompt, both[sides[0]], both[sides[1]]))
    if not pairs:
        raise DataError(f"{paths.SPLIT} leaves no test prompt that asks for {params.run.concept} to review")
    return pairs[: min(most, MOST_PAIRS)]


def leading(params: Params) -> str:
    """Name the edit that leads the ranking of the run's first model."""
    from hmu_tasks.viewer.reading import read_inputs

    found = read_inputs(params).selection
    return f"{found.model}/{found.method}" if len(params.run.models) > 1 else found.method


def compared(known: Sequence[ModelSource], edit: str) -> dict[str, ModelSource]:
    """Find an edit, its original and, if there is one, D_r: role -> source."""
    (edited,) = named(known, [edit])
    prefix, _, method = edit.rpartition("/")
    by_name = {one.name: one for one in known}
    if method in ENDS:
        edits = [one.name for one in known if one.name.rpartition("/")[2] not in ENDS]
        raise ConfigError(
            f"{edit} is a reference, not an edited model; choose from {', '.join(edits) or 'none'}"
        )
    found = {"edited": edited}
    for role in ENDS:
        place = f"{prefix}/{role}" if prefix else role
        if place in by_name:
            found[role] = by_name[place]
    if "original" not in found:
        raise DataError(f"the original of {edit} is not among the models here; run `make repro` first")
    return found


def _mixed(pool: Sequence[PromptCandidate]) -> list[PromptCandidate]:
    """Captions of the dataset and hand-written prompts by turns, so that a short review sees both."""
    split = {one.split for one in pool}
    queues = [[one for one in pool if one.split == name] for name in sorted(split)]
    longest = max((len(queue) for queue in queues), default=0)
    return [queue[i] for i in range(longest) for queue in queues if i < len(queue)]
