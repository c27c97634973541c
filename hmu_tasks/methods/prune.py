"""Pruning: the concept's codes are deleted, and its directions are projected out of what the text projections give.

Two closed-form steps, no training. The codes that the forget set uses most, relative to the retain set, are deleted
from every layer of the codebook and from every table of the networks; scores in the manner of LCR (De Matteis et al.
2025, arXiv 2503.18674), but nothing stays behind that could be revived, and probability renormalises over the codes
that are left. The projections of the text lose the concept's directions on their output side, W' = (I - U U^T) W, so
that no input, whatever it is, reaches them: an orthogonal projection, as in PURE (arXiv 2605.25765), applied to the
conditioning of a generator of codes.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from hmu_tasks.methods.method import NETWORKS, Colour, Knobs, Method, Strength
from hmu_tasks.methods.shared.knobs import PruningKnobs, check_codes

if TYPE_CHECKING:
    from hmu_tasks.methods.shared.edit import Edit
    from hmu_tasks.methods.shared.inputs import Inputs

SECTION = "unlearn.prune"


class Prune(PruningKnobs, Knobs):
    """Strengths are numbers of codes deleted from each layer.

    only: one of the two steps alone, for ablation; `text` has nothing to sweep, so that its only strength is 0.
    """

    only: Literal["codes", "text"] | None

    @model_validator(mode="after")
    def _text_alone_has_no_codes(self) -> "Prune":
        if self.only == "text" and self.strengths != [0]:
            raise ValueError(
                f"strengths is {self.strengths}; with only: text no code is deleted, so that it must be [0]"
            )
        return self

    def check_tokenizer(self, *, codes: int, quantizers: int) -> None:
        """Raise ValueError where a strength is more than the tokenizer has codes."""
        del quantizers
        check_codes(max(self.strengths), codes=codes, key=f"{SECTION}.strengths")


def apply(given: "Inputs", knobs: Prune, *, seed: int) -> "Iterator[Edit]":
    """Yield an edit of tokenizer and networks per number of codes; strength 0 is the original (`only` aside)."""
    from hmu_tasks.methods.shared.cost import Cost
    from hmu_tasks.methods.shared.edit import Edit, ListedChanges
    from hmu_tasks.methods.shared.pruning import pruned, ranked, without_concept

    usage, model, captions = given.usage(), given.bundle.model, 0
    ranking = ranked(given, knobs, max(knobs.strengths), section=SECTION)
    if knobs.only != "codes":
        model, taken = without_concept(given, knobs, seed=seed)
        captions = sum(taken.values())
    listed = ListedChanges(rows=False)
    for count in knobs.strengths:
        if count:
            found = pruned(model, ranking, count)
            yield Edit(
                strength=count,
                states=found.states,
                configs=found.configs,
                kept=found.kept,
                report={"deleted": found.deleted},
                cost=Cost(clips_read=usage.forget + usage.retain, captions_read=captions),
                listed=listed,
            )
        elif knobs.only == "text":
            states = {name: network.state_dict() for name, network in model.networks.items()}
            yield Edit(strength=count, states=states, cost=Cost(captions_read=captions), listed=listed)
        else:
            yield Edit(strength=count, listed=listed)


METHOD = Method(
    name="prune",
    label="pruning",
    section=Prune,
    changes=("tokenizer", NETWORKS),
    apply=apply,
    colour=Colour("#a50f15", "#f4777b"),
    marker="h",
    strength=Strength("K = {}", axis="K, codes deleted from each layer"),
)
