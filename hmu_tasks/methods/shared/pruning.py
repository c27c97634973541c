"""Pruning of a generator of codes: which codes go, and projections that cannot give a concept's directions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.data.clips.id_lists import ROLES, Role
from hmu_tasks.methods.shared.centroids import centroids
from hmu_tasks.methods.shared.closed_form import scale_of, with_weight
from hmu_tasks.methods.shared.code_tables import Rows, codebook_rows, network_rows, with_rows
from hmu_tasks.methods.shared.codes import CodeUsage, count_codes, top_codes
from hmu_tasks.methods.shared.encoded import load_codes
from hmu_tasks.methods.shared.inputs import Inputs
from hmu_tasks.methods.shared.knobs import PruningKnobs
from hmu_tasks.methods.shared.telling import telling_tokens
from hmu_tasks.methods.shared.text_edits import sample, words_of
from hmu_tasks.models.generators.text_to_motion import TextToMotion
from hmu_tasks.models.text.embeddings import present
from hmu_tasks.runtime.errors import ConfigError


@dataclass(frozen=True)
class Pruned:
    """Parts of a model without some of their codes.

    states: of tokenizer and networks. configs: entries of their config.json that change. kept: rows that stay, by part
    and tensor. deleted: codes by layer.
    """

    states: dict[str, dict[str, Tensor]]
    configs: dict[str, dict[str, int]]
    kept: dict[str, dict[str, Rows]]
    deleted: dict[int, list[int]]


def without_concept(given: Inputs, knobs: PruningKnobs, *, seed: int) -> tuple[TextToMotion, dict[Role, int]]:
    """Return the original model with the concept's directions projected out, and how many captions that took."""
    forget, retain = given.embed(
        *(sample(given.captions[role], knobs.captions, seed=[given.seed, seed]) for role in ROLES)
    )
    taken: dict[Role, int] = {"forget": len(forget), "retain": len(retain)}
    return projected(given.bundle.model, forget, retain, knobs), taken


def ranked(given: Inputs, knobs: PruningKnobs, count: int, *, section: str) -> list[list[int]]:
    """Return the `count` most telling codes of each layer, best first; none without anything to delete.

    section: of params.yaml, which the knobs are from. Raises ConfigError where too few codes qualify, and WeightsError
    where the output of the codebook step cannot be read.
    """
    if not count:
        return []
    telling = knobs.score == "context"
    usage = telling_usage(given) if telling else given.usage()
    where = "at the tokens that show the concept" if telling else "in forget clips"
    return [
        most_used(usage, layer, count, support=knobs.support, section=section, where=where)
        for layer in range(usage.layers)
    ]


def pruned(model: TextToMotion, ranking: Sequence[Sequence[int]], count: int) -> Pruned:
    """Delete the first `count` codes of each layer's ranking from tokenizer and networks.

    ranking: of each layer, with at least `count` codes; see `ranked`.
    """
    codes = model.codebooks.shape[1]
    deleted = {layer: sorted(best[:count]) for layer, best in enumerate(ranking)}
    keep = [torch.tensor(sorted({*range(codes)} - {*gone})) for gone in deleted.values()]
    states = {name: network.state_dict() for name, network in model.networks.items()}
    states["tokenizer"] = model.tokenizer.network.state_dict()
    kept = {name: network_rows(network, keep, codes=codes) for name, network in model.networks.items()}
    kept["tokenizer"] = codebook_rows(states["tokenizer"], keep)
    return Pruned(
        {name: with_rows(state, kept[name]) for name, state in states.items()},
        {name: {"codes": codes - count} for name in states},
        kept,
        deleted,
    )


def telling_usage(given: Inputs) -> CodeUsage:
    """Count the codes of forget clips at the tokens that show the concept, and of retain clips at all tokens.

    Raises WeightsError where the output of the codebook step cannot be read, or where all tokens are alike.
    """
    size = len(given.ids["forget"])
    codes = load_codes(given.codebook, size + len(given.ids["retain"]))
    books = given.tokenizer.codebooks
    shown = telling_tokens(codes[:size], codes[size:], books)
    counted = [np.where(mark[:, None], clip, -1) for clip, mark in zip(codes[:size], shown, strict=True)]
    return count_codes(counted + codes[size:], np.arange(len(codes)) < size, books.shape[1])


def scores(usage: CodeUsage, layer: int) -> np.ndarray:
    """Return the smoothed ratio of a code's share of forget tokens to its share of retain tokens, [K].

    (f + 1/2) / (F + K/2) over (r + 2) / (R + 2 K): the larger prior on the retain side keeps a code that retain clips
    use a few times from being taken for one that they never use.
    """
    forget, retain = usage.forget_count[layer], usage.retain_count[layer]
    ours = (forget + 0.5) / (forget.sum() + 0.5 * usage.codes)
    theirs = (retain + 2.0) / (retain.sum() + 2.0 * usage.codes)
    found: np.ndarray = ours / theirs
    return found


def most_used(
    usage: CodeUsage, layer: int, count: int, *, support: int, section: str, where: str = "in forget clips"
) -> list[int]:
    """Return the `count` codes of a layer with the highest scores, best first.

    support: codes that occur less often `where` is counted cannot be chosen. Raises ConfigError where too few can.
    """
    eligible = np.flatnonzero(usage.forget_count[layer] >= support)
    if count > len(eligible):
        raise ConfigError(
            f"{section}.strengths is {count}, but only {len(eligible)} codes of layer {layer} occur at least {support} "
            f"times {where}; lower it or {section}.support"
        )
    return [int(code) for code in eligible[top_codes(scores(usage, layer)[eligible], count)]]


def projected(model: TextToMotion, forget: Tensor, retain: Tensor, knobs: PruningKnobs) -> TextToMotion:
    """Return a model whose text projections cannot give the concept's directions.

    forget: [n, 1 + w, W], retain: [m, 1 + w, W], embedded texts.
    """
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


def project(weight: Tensor, concept: Tensor, rest: Tensor) -> Tensor:
    """Return (I - U U^T) W, in the precision of W; U: orthonormal basis of W (c_j - m).

    weight: W, [O, W]. concept: c, [k, W], centroids of the concept's texts; rest: m, [W], the mean of all others.
    """
    start = weight.double()
    basis, _ = torch.linalg.qr(start @ (concept - rest).T)
    found: Tensor = start - basis @ (basis.T @ start)
    return found.to(weight.dtype)


def telling(forget: Tensor, retain: Tensor, *, shrinkage: float) -> tuple[Tensor, Tensor]:
    """Return the most telling word state of each forget text [n, W], and all word states of retain texts [m, W].

    Most words of a forget text are harmless. The telling one scores highest on the linear discriminant between all
    words of forget and of retain texts (Fisher 1936), fitted once more with the telling words alone on the forget side.
    """
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
