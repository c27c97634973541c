"""Distillation: a noised copy of the pruned model learns from the pruned one, on the retain set alone.

Pruning deletes the concept's codes, but tokenizer and networks still know its motions, so that new codes bring them
back. Unlearn, noise, distil on outputs (UNDO; Lee et al. 2025, "Distillation Robustifies Unlearning", arXiv
2506.06278): what an unlearned teacher does not show is not passed on to a student that has to learn anew, and one that
starts from the teacher's noised weights needs fewer steps than one that starts from nothing. Not training-free: two
fifths of the CPU time of retraining at the default sizes.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from hmu_tasks.methods.method import NETWORKS, Colour, Knobs, Method, Strength
from hmu_tasks.methods.shared.knobs import LessonKnobs, PruningKnobs, check_codes
from hmu_tasks.runtime.section import Rate

if TYPE_CHECKING:
    from hmu_tasks.methods.shared.edit import Edit
    from hmu_tasks.methods.shared.inputs import Inputs
    from hmu_tasks.runtime.progress import Progress

SECTION = "unlearn.distill"


class TokenizerLesson(LessonKnobs):
    """window: frames of a training window. latents: weight of the encoder's error beside the decoder's."""

    window: Annotated[int, Field(ge=8, multiple_of=4)]
    latents: Rate


class NetworkLesson(LessonKnobs):
    """imitation: weight of the divergence from the teacher; the rest is that of the training loss on retain clips."""

    imitation: Annotated[float, Field(ge=0, le=1)]


class Distill(PruningKnobs, Knobs):
    """Strengths are numbers of codes deleted from each layer, as in pruning; each trains students of its own."""

    tokenizer: TokenizerLesson
    networks: NetworkLesson

    def check_tokenizer(self, *, codes: int, quantizers: int) -> None:
        """Raise ValueError where a strength is more than the tokenizer has codes."""
        del quantizers
        check_codes(max(self.strengths), codes=codes, key=f"{SECTION}.strengths")

    def check_clips(self, *, frames: int) -> None:
        """Raise ValueError where no clip is as long as a training window."""
        if self.tokenizer.window >= frames:
            raise ValueError(
                f"unlearn.distill.tokenizer.window is {self.tokenizer.window}, but ingest.max_frames {frames} keeps "
                "every clip shorter: windows would end in a frozen frame; lower it"
            )


def apply(given: "Inputs", knobs: Distill, *, seed: int) -> "Iterator[Edit]":
    """Yield an edit of tokenizer and networks per number of codes; strength 0 is the original."""
    from hmu_tasks.methods.shared.cost import Cost
    from hmu_tasks.methods.shared.distillation import Lesson, Teacher, network_student, tokenizer_student
    from hmu_tasks.methods.shared.edit import Edit, ListedChanges
    from hmu_tasks.methods.shared.pruning import pruned, ranked, without_concept

    listed = ListedChanges(rows=False)
    if max(knobs.strengths) == 0:
        yield Edit(strength=0, listed=listed)
        return
    usage = given.usage()
    ranking = ranked(given, knobs, max(knobs.strengths), section=SECTION)  # before anything is trained
    model, taken = without_concept(given, knobs, seed=seed)
    lessons: dict[str, LessonKnobs] = {"tokenizer": knobs.tokenizer} | dict.fromkeys(
        model.networks, knobs.networks
    )
    steps = sum(own.steps for own in lessons.values())
    todo = steps * sum(count > 0 for count in knobs.strengths)
    done = 0

    def progress_after(steps_done: int) -> "Progress":
        return lambda here, _: given.progress(steps_done + here, todo)

    for count in knobs.strengths:
        if not count:
            yield Edit(strength=0, listed=listed)
            continue
        found = pruned(model, ranking, count)
        teacher = Teacher(given, model, found.states, codes=usage.codes - count)
        learned = {}
        for name, own in lessons.items():
            lesson = Lesson(
                own,
                seed=given.seed + 1000 * seed + sum(name.encode()),
                checkpoint=given.scratch / f"s{seed}" / f"{count:03d}" / name / "checkpoint.pt",
                progress=progress_after(done),
            )
            learned[name] = (
                tokenizer_student(
                    teacher, lesson, window=knobs.tokenizer.window, latents=knobs.tokenizer.latents
                )
                if name == "tokenizer"
                else network_student(teacher, name, lesson, imitation=knobs.networks.imitation)
            )
            done += own.steps
        yield Edit(
            strength=count,
            states=learned,
            configs=found.configs,
            kept=found.kept,
            trained=True,
            report={"deleted": found.deleted},
            cost=Cost(steps, usage.forget + usage.retain, taken["forget"] + teacher.captions),
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
