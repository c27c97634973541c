"""Edits by fine-tuning each network of a model; one training run serves all strengths of a seed."""

from collections.abc import Callable, Iterator, Sequence

import torch

from hmu_tasks.data.clips.id_lists import Role
from hmu_tasks.methods.shared.cost import Cost
from hmu_tasks.methods.shared.edit import Edit, ListedChanges
from hmu_tasks.methods.shared.inputs import Inputs
from hmu_tasks.methods.shared.knobs import TunedKnobs
from hmu_tasks.methods.shared.tuning import Objective, tune
from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.runtime.progress import Progress
from hmu_tasks.training.loop.code_batches import CodeSet

MakeObjective = Callable[[CodeNetwork, CodeSet, CodeSet, torch.device], Objective]


def tuned_edits(
    given: Inputs, knobs: TunedKnobs, objective: MakeObjective, *, seed: int, reads: Sequence[Role]
) -> Iterator[Edit]:
    """Yield an edit per number of optimiser steps, which each network takes; 0 is the original.

    objective: (original network, forget, retain, device) -> the training objective. reads: the sets of clips that it
    uses.
    """
    networks, steps = given.bundle.model.networks, sorted({*knobs.strengths} - {0})
    states = {}
    for place, name in enumerate(networks if steps else ()):
        network = networks[name]
        states[name] = tune(
            network,
            objective(network, given.coded["forget"], given.coded["retain"], given.device),
            steps=steps,
            batch=knobs.batch,
            rate=knobs.rate,
            seed=given.seed + 1000 * seed + sum(name.encode()),
            device=given.device,
            scratch=given.scratch / f"s{seed}" / name,
            progress=_after(place * steps[-1], len(networks) * steps[-1], given.progress),
        )
    for count in knobs.strengths:
        clips = [row for role in reads for row in given.clip_captions[role]] if count else []
        yield Edit(
            strength=count,
            states={name: found[count] for name, found in states.items()} if count else {},
            cost=Cost(count * len(networks), len(clips), sum(len(row) for row in clips)),
            listed=ListedChanges(rows=False),  # nearly all of them, thousands to a table
        )


def _after(before: int, total: int, progress: Progress) -> Progress:
    """Progress of one training of several."""
    return lambda done, _: progress(before + done, total)
