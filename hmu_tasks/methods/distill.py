"""Distillation: a noised copy of the pruned model learns from the pruned one, on the retain set alone.

Unlearn, noise, distil on outputs (UNDO; Lee et al. 2025, "Distillation Robustifies Unlearning", arXiv 2506.06278): what
an unlearned model does not show is not passed on to a student that has to learn anew. The student starts from the
teacher's weights mixed with a random initialisation, (1 - a) W + a N, so that it needs a fraction of the steps of
retraining. The teacher here is the pruned model, and the tokenizer is distilled as well: its encoder learns the
teacher's latents and its decoder the motions, with the codebooks that pruning left. Not training-free.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hmu_tasks.methods.method import NETWORKS, Colour, Method
from hmu_tasks.methods.shared.knobs import PruningKnobs, StudentKnobs, check_codes
from hmu_tasks.runtime.section import Count

if TYPE_CHECKING:
    from hmu_tasks.methods.shared.edit import Edit
    from hmu_tasks.methods.shared.inputs import Inputs

KEY = "unlearn.distill.pruning.codes"


class Teacher(PruningKnobs):
    """How the teacher is pruned; codes: how many are deleted from each layer."""

    codes: Count


class Distill(StudentKnobs):
    """Strengths are per cent of noise in the weights that the student starts from; 100 is a fresh initialisation."""

    pruning: Teacher

    def check_tokenizer(self, *, codes: int, quantizers: int) -> None:
        """Raise ValueError where more codes are to be deleted than the tokenizer has."""
        del quantizers
        check_codes(self.pruning.codes, codes=codes, key=KEY)


def apply(given: "Inputs", knobs: Distill, *, seed: int) -> "Iterator[Edit]":
    """Yield an edit of tokenizer and networks per share of noise; strength 0 is the original."""
    from hmu_tasks.methods.shared.cost import Cost
    from hmu_tasks.methods.shared.distillation import prepared, students
    from hmu_tasks.methods.shared.edit import Edit, ListedChanges
    from hmu_tasks.methods.shared.pruning import pruned, without_concept

    listed, noises = ListedChanges(rows=False), [noise for noise in knobs.strengths if noise]
    if noises:
        usage = given.usage()
        model, taken = without_concept(given, knobs.pruning, seed=seed)
        teacher = pruned(model, usage, knobs.pruning.codes, support=knobs.pruning.support, key=KEY)
        course = prepared(given, knobs, model, teacher.states, codes=usage.codes - knobs.pruning.codes)
    for noise in knobs.strengths:
        if not noise:
            yield Edit(strength=0, listed=listed)
            continue
        before, total = noises.index(noise) * course.steps, len(noises) * course.steps
        yield Edit(
            strength=noise,
            states=students(course, noise, seed=seed, before=before, total=total),
            configs=teacher.configs,
            kept=teacher.kept,
            trained=True,
            report={"deleted": teacher.deleted},
            cost=Cost(course.steps, usage.forget + usage.retain, taken["forget"] + course.captions),
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
)
