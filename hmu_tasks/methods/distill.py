"""Distillation: pruning, and a tokenizer that learns from the pruned one what the retain set shows.

Pruning deletes the concept's codes, but encoder and decoder still know its motions, so that new codes bring them back.
Here a noised copy of both learns from the pruned tokenizer on the retain set alone: unlearn, noise, distil on outputs
(UNDO; Lee et al. 2025, "Distillation Robustifies Unlearning", arXiv 2506.06278), for what an unlearned teacher does not
show is not passed on to a student that has to learn anew. The networks stay those of pruning. Not training-free: an
eighth of the CPU time of retraining at the default sizes.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from hmu_tasks.methods.method import NETWORKS, Colour, Knobs, Method, Strength
from hmu_tasks.methods.shared.knobs import PruningKnobs, check_codes
from hmu_tasks.runtime.section import Count, Rate

if TYPE_CHECKING:
    from hmu_tasks.methods.shared.edit import Edit
    from hmu_tasks.methods.shared.inputs import Inputs

KEY = "unlearn.distill.strengths"


class Distill(PruningKnobs, Knobs):
    """Strengths are numbers of codes deleted from each layer, as in pruning; each trains a tokenizer of its own.

    noise: share of the parameters that the student starts from, the rest are the teacher's. latents: weight of the
    encoder's error beside the decoder's. window: frames of a training window. steps, batch, rate: of the training,
    with warm-up and cosine decay.
    """

    noise: Annotated[float, Field(gt=0, le=1)]
    latents: Rate
    window: Annotated[int, Field(ge=8, multiple_of=4)]
    steps: Count
    batch: Count
    rate: Rate

    def check_tokenizer(self, *, codes: int, quantizers: int) -> None:
        """Raise ValueError where a strength is more than the tokenizer has codes."""
        del quantizers
        check_codes(max(self.strengths), codes=codes, key=KEY)


def apply(given: "Inputs", knobs: Distill, *, seed: int) -> "Iterator[Edit]":
    """Yield an edit of tokenizer and networks per number of codes; strength 0 is the original."""
    from hmu_tasks.methods.shared.cost import Cost
    from hmu_tasks.methods.shared.distillation import Lesson, student
    from hmu_tasks.methods.shared.edit import Edit, ListedChanges
    from hmu_tasks.methods.shared.pruning import pruned, without_concept

    listed, counts = ListedChanges(rows=False), [count for count in knobs.strengths if count]
    if counts:
        usage = given.usage()
        model, taken = without_concept(given, knobs, seed=seed)
        lesson = Lesson(knobs.noise, knobs.latents, knobs.window, knobs.steps, knobs.batch, knobs.rate)
    for count in knobs.strengths:
        if not count:
            yield Edit(strength=0, listed=listed)
            continue
        found, before = pruned(model, usage, count, support=knobs.support, key=KEY), counts.index(count)

        def progress(done: int, total: int, before: int = before) -> None:
            given.progress(before * total + done, len(counts) * total)

        learned = student(given, found.states["tokenizer"], lesson, seed=seed, progress=progress)
        yield Edit(
            strength=count,
            states={**found.states, "tokenizer": learned},
            configs=found.configs,
            kept=found.kept,
            report={"deleted": found.deleted},
            cost=Cost(knobs.steps, usage.forget + usage.retain, sum(taken.values())),
            listed=listed,
        )


METHOD = Method(
    name="distill",
    label="distillation",
    section=Distill,
    changes=("tokenizer", NETWORKS),
    apply=apply,
    colour=Colour("#7b1fa2", "#c792e0"),
    marker="*",
    strength=Strength("K = {}", axis="K, codes deleted from each layer"),
)
