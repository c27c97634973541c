"""Pruning: the concept's codes are deleted, and its directions are projected out of what the text projections give.

Two closed-form steps, no training. The codes that the forget set uses most, relative to the retain set, are deleted
from every layer of the codebook and from every table of the networks; scores in the manner of LCR (De Matteis et al.
2025, arXiv 2503.18674), but nothing stays behind that could be revived, and probability renormalises over the codes
that are left. The projections of the text lose the concept's directions on their output side, W' = (I - U U^T) W, so
that no input, whatever it is, reaches them: an orthogonal projection, as in PURE (arXiv 2605.25765), applied to the
conditioning of a generator of codes.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from hmu_tasks.methods.method import NETWORKS, Colour, Knobs, Method, Strength
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.runtime.section import Count, Rate

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from hmu_tasks.methods.shared.codes import CodeUsage
    from hmu_tasks.methods.shared.edit import Edit
    from hmu_tasks.methods.shared.inputs import Inputs
    from hmu_tasks.models.generators.text_to_motion import TextToMotion

KEY = "unlearn.prune.strengths"


class Prune(Knobs):
    """Strengths are numbers of codes deleted from each layer.

    only: one of the two steps alone, for ablation; `text` has nothing to sweep, so that its only strength is 0.
    support: codes that occur less often in forget clips are never deleted. directions: of the sentence vectors;
    word_directions: of the words. captions: number from each of the forget and retain sets.
    """

    only: Literal["codes", "text"] | None
    support: Count
    directions: Count
    word_directions: Annotated[int, Field(ge=0)]
    captions: Count
    shrinkage: Rate

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
        if max(self.strengths) >= codes - 1:
            raise ValueError(
                f"{KEY} is {max(self.strengths)} codes, but train.tokenizer.codes is {codes}: two codes must stay"
            )


def apply(given: "Inputs", knobs: Prune, *, seed: int) -> "Iterator[Edit]":
    """Yield an edit of tokenizer and networks per number of codes; strength 0 is the original (`only` aside)."""
    import torch

    from hmu_tasks.data.clips.id_lists import ROLES
    from hmu_tasks.methods.shared.code_tables import codebook_rows, network_rows, with_rows
    from hmu_tasks.methods.shared.cost import Cost
    from hmu_tasks.methods.shared.edit import Edit, ListedChanges
    from hmu_tasks.methods.shared.text_edits import sample

    model, usage = given.bundle.model, given.usage()
    edited, captions = model.networks, 0
    if knobs.only != "codes":
        forget, retain = given.embed(
            *(sample(given.captions[role], knobs.captions, seed=[given.seed, seed]) for role in ROLES)
        )
        edited, captions = projected(model, forget, retain, knobs).networks, len(forget) + len(retain)
    for count in knobs.strengths:
        changes = bool(count) or knobs.only == "text"
        networks = edited if changes else model.networks
        states = {name: network.state_dict() for name, network in networks.items()}
        report, configs, kept_rows = {}, {}, {}
        if count:
            dropped = [most_used(usage, layer, count, support=knobs.support) for layer in range(usage.layers)]
            keep = [torch.tensor(sorted({*range(usage.codes)} - {*codes})) for codes in dropped]
            states["tokenizer"] = model.tokenizer.network.state_dict()
            kept_rows = {
                name: network_rows(network, keep, codes=usage.codes) for name, network in networks.items()
            }
            kept_rows["tokenizer"] = codebook_rows(states["tokenizer"], keep)
            states = {name: with_rows(state, kept_rows[name]) for name, state in states.items()}
            configs = {name: {"codes": usage.codes - count} for name in states}
            report["deleted"] = dict(enumerate(dropped))
        yield Edit(
            strength=count,
            states=states if changes else {},
            configs=configs,
            kept=kept_rows,
            report=report,
            cost=Cost(
                clips_read=usage.forget + usage.retain if count else 0,
                captions_read=captions if changes else 0,
            ),
            listed=ListedChanges(rows=False),
        )


def scores(usage: "CodeUsage", layer: int) -> "np.ndarray":
    """Return the smoothed ratio of a code's share of forget tokens to its share of retain tokens, [K].

    (f + 1/2) / (F + K/2) over (r + 2) / (R + 2 K): the larger prior on the retain side keeps a code that retain clips
    use a few times from being taken for one that they never use.
    """
    forget, retain = usage.forget_count[layer], usage.retain_count[layer]
    ours = (forget + 0.5) / (forget.sum() + 0.5 * usage.codes)
    theirs = (retain + 2.0) / (retain.sum() + 2.0 * usage.codes)
    found: np.ndarray = ours / theirs
    return found


def most_used(usage: "CodeUsage", layer: int, count: int, *, support: int) -> list[int]:
    """Return the `count` codes of a layer with the highest scores, ascending; ConfigError where too few qualify."""
    import numpy as np

    from hmu_tasks.methods.shared.codes import top_codes

    eligible = np.flatnonzero(usage.forget_count[layer] >= support)
    if count > len(eligible):
        raise ConfigError(
            f"{KEY} is {count}, but only {len(eligible)} codes of layer {layer} occur at least {support} times in "
            "forget clips; lower it or unlearn.prune.support"
        )
    chosen = eligible[top_codes(scores(usage, layer)[eligible], count)]
    return sorted(int(code) for code in chosen)


def projected(model: "TextToMotion", forget: "Tensor", retain: "Tensor", knobs: Prune) -> "TextToMotion":
    """Return a model whose text projections cannot give the concept's directions.

    forget: [n, 1 + w, W], retain: [m, 1 + w, W], embedded texts.
    """
    import torch

    from hmu_tasks.methods.shared.centroids import centroids
    from hmu_tasks.methods.shared.closed_form import with_weight

    edited = {}
    for level, projections in model.text_projections.items():
        number = knobs.word_directions if level == "word" else knobs.directions
        if number:
            concept, rest = (
                telling(forget, retain, shrinkage=knobs.shrinkage)
                if level == "word"
                else (forget[:, 0], retain[:, 0])
            )
            centres = torch.from_numpy(centroids(concept.double().numpy(), number, seed=0, rounds=30))
            edited[level] = {
                name: with_weight(linear, project(linear.weight.detach(), centres, rest.double().mean(dim=0)))
                for name, linear in projections.items()
            }
    return model.with_text_projections(edited)


def project(weight: "Tensor", concept: "Tensor", rest: "Tensor") -> "Tensor":
    """Return (I - U U^T) W, in the precision of W; U: orthonormal basis of W (c_j - m).

    weight: W, [O, W]. concept: c, [k, W], centroids of the concept's texts; rest: m, [W], the mean of all others.
    """
    import torch

    start = weight.double()
    basis, _ = torch.linalg.qr(start @ (concept - rest).T)
    found: Tensor = start - basis @ (basis.T @ start)
    return found.to(weight.dtype)


def telling(forget: "Tensor", retain: "Tensor", *, shrinkage: float) -> "tuple[Tensor, Tensor]":
    """Return the most telling word state of each forget text [n, W], and all word states of retain texts [m, W].

    Most words of a forget text are harmless. The telling one scores highest on the linear discriminant between all
    words of forget and of retain texts (Fisher 1936), fitted once more with the telling words alone on the forget side.
    """
    import torch

    from hmu_tasks.methods.shared.closed_form import scale_of
    from hmu_tasks.methods.shared.text_edits import words_of
    from hmu_tasks.models.text.embeddings import present

    others, chosen = words_of(retain).double(), words_of(forget).double()
    mean = others.mean(dim=0)
    states, there = forget[:, 1:].double(), present(forget[:, 1:])
    for _ in range(3):
        spread = torch.cov(torch.cat([chosen - chosen.mean(dim=0), others - mean]).T)
        spread = spread + shrinkage * scale_of(others) * torch.eye(len(spread)).to(spread)
        detector = torch.linalg.solve(spread, chosen.mean(dim=0) - mean)
        found = ((states - mean) @ detector).masked_fill(~there, -torch.inf).argmax(dim=1)
        chosen = states[torch.arange(len(states)), found]
    return chosen, others


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
