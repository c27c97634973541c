"""Latent Code Replacement: overwrite the codebook rows that the forget set uses most.

De Matteis et al. 2025, "Human Motion Unlearning" (arXiv 2503.18674). Training-free: the codebook that decodes
gets new rows; the transformers still emit the same code indices, which now decode to something else.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from hmu_tasks.methods.method import Colour, Knobs, Method, Strength, require_distinct
from hmu_tasks.methods.shared.scores import KEY, Score
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.runtime.section import Count

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from hmu_tasks.methods.shared.chosen_codes import SubConcept
    from hmu_tasks.methods.shared.codes import CodeUsage
    from hmu_tasks.methods.shared.edit import Edit
    from hmu_tasks.methods.shared.inputs import Inputs

Target = Literal["code", "retain_mean"]


class Lcr(Knobs):
    """Latent Code Replacement: strengths are numbers of replaced codes."""

    layers: list[Annotated[int, Field(ge=0)]]
    noise: Annotated[float, Field(ge=0)]
    support: Annotated[int, Field(ge=0)]
    score: Score
    target: Target
    published: bool
    parts: dict[str, Count]

    @model_validator(mode="after")
    def _layers_hold_something(self) -> "Lcr":
        require_distinct(self, "layers")
        return self

    def check_tokenizer(self, *, codes: int, quantizers: int) -> None:
        """Raise ValueError where a strength or a layer is more than the tokenizer has."""
        if max(self.strengths) >= codes:
            raise ValueError(
                f"{KEY} is {max(self.strengths)} codes, "
                f"but train.tokenizer.codes is {codes}: at least one code must stay"
            )
        if max(self.layers) >= quantizers:
            raise ValueError(
                f"unlearn.lcr.layers names layer {max(self.layers)}, "
                f"but train.tokenizer.quantizers is {quantizers}"
            )


def apply(given: "Inputs", knobs: Lcr, *, seed: int) -> "Iterator[Edit]":
    """Yield an edit of the codebooks per number of codes, with one noise sample per seed."""
    from hmu_tasks.methods.shared.chosen_codes import SubConcept
    from hmu_tasks.methods.shared.cost import Cost
    from hmu_tasks.methods.shared.edit import Edit, ListedChanges

    tokenizer, usage, prior = given.tokenizer, given.usage(), given.prior
    parts = {name: SubConcept(given.usage(name), share) for name, share in knobs.parts.items()}
    for count in knobs.strengths:
        found = replace_codes(
            tokenizer.codebooks,
            usage,
            codes=count,
            layers=knobs.layers,
            noise=knobs.noise,
            seed=given.seed + seed,
            score=knobs.score,
            prior=prior * usage.codes,
            support=knobs.support,
            target=knobs.target,
            published=knobs.published,
            initial_draws=values_drawn(tokenizer.network) if knobs.published else 0,
            parts=parts,
        )
        yield Edit(
            strength=count,
            states={"tokenizer": tokenizer.network.with_codebooks(found.codebooks).state_dict()},
            report={
                "replaced": found.replaced,
                "parts": found.parts,
                "targets": found.targets,
                "noise_scale": found.scale,
            },
            cost=Cost(clips_read=usage.forget + usage.retain if count else 0),
            listed=ListedChanges(edited=False),
        )


@dataclass(frozen=True)
class Replacement:
    """The edited codebooks and what was done to them.

    codebooks: [Q, K, C]; replaced: layer -> its overwritten codes, ascending; targets: layer -> the code
    whose row they received (None if the target is not a code); scale: layer -> spread of the added noise; parts: of a
    combined list, part -> layer -> its codes, ascending.
    """

    codebooks: "Tensor"
    replaced: dict[int, list[int]]
    targets: dict[int, int | None]
    scale: dict[int, float]
    parts: dict[str, dict[int, list[int]]] = field(default_factory=dict)


def values_drawn(network: "nn.Module") -> int:
    """Return how many random values it takes to build a tokenizer: one for each weight; codebooks start from zeros."""
    return sum(value.numel() for name, value in network.named_parameters() if not name.endswith("codebook"))


def replace_codes(
    codebooks: "Tensor",
    usage: "CodeUsage",
    *,
    codes: int,
    layers: Sequence[int] = (0,),
    noise: float = 1.0,
    seed: int,
    score: Score = "ratio",
    prior: float | None = None,
    support: int = 3,
    target: Target = "code",
    target_code: int = 0,
    orthogonal: bool = False,
    published: bool = False,
    initial_draws: int = 0,
    parts: "Mapping[str, SubConcept] | None" = None,
) -> Replacement:
    """Replace the `codes` most violent codes of each layer by a target plus noise; the input is not modified.

    codebooks: [Q, K, C]; usage: counts of the same Q and K. codes 0 changes nothing.
    noise: scale in standard deviations of the layer's codebook entries (alpha in the paper).
    support: codes seen in fewer forget clips are never chosen. score: how codes are ranked;
    prior: pseudo-counts of the log-odds score.
    target "code": the row of `target_code`, or of a random code left in place if that one is itself
    replaced; "retain_mean": the mean of the rows left in place, weighted by how often retain clips use them.
    orthogonal: instead of a target, keep the rows but remove the direction of their mean; adds no noise.
    published: ranking, target and noise exactly as released; `score`, `support`, `target` are ignored, up
    to 2 * codes rows change, and the noise follows the first `initial_draws` values of the seed's stream
    (the released script builds the network, and so samples its weights, between seeding and editing).
    parts: sub-concepts among which `codes` is divided by their shares; the best codes of each, by its own counts, are
    united (so that shared ones make the list shorter), as the combined lists of the released scripts are.
    Raises ConfigError when a layer has too few codes to choose from, ValueError when shapes disagree.
    """
    import torch

    from hmu_tasks.methods.shared.chosen_codes import chosen_codes

    if codebooks.ndim != 3 or tuple(codebooks.shape[:2]) != (usage.layers, usage.codes):
        raise ValueError(
            f"codebooks are {list(codebooks.shape)}, the counts are for {usage.layers} x {usage.codes} codes"
        )
    unknown = [layer for layer in layers if not 0 <= layer < usage.layers]
    if unknown:
        raise ConfigError(
            f"unlearn.lcr.layers: {unknown[0]} is not a layer; choose from 0 to {usage.layers - 1}"
        )
    if not 0 <= target_code < usage.codes:
        raise ValueError(f"target_code {target_code} is not one of the {usage.codes} codes")
    if codes == 0:
        return Replacement(codebooks.clone(), {layer: [] for layer in layers}, {}, {})
    lists, chosen = chosen_codes(
        usage,
        codes,
        layers,
        published=published,
        score=score,
        prior=prior,
        support=support,
        parts=parts,
    )
    if published:
        targets = _published_targets(chosen, usage.codes, target_code, seed)
    else:
        targets = _targets(chosen, usage.codes, target, target_code, seed)
    stream = torch.Generator().manual_seed(seed)
    if initial_draws:
        torch.empty(initial_draws).uniform_(generator=stream)
    edited = codebooks.clone()
    scale: dict[int, float] = {}
    for layer, rows in chosen.items():
        book = codebooks[layer]
        if orthogonal:
            edited[layer, rows] = _without_mean_direction(book[rows])
            targets[layer], scale[layer] = None, 0.0
            continue
        spread = book.std()
        sampled = _noise(book, rows, stream, published).to(book)
        place = targets[layer]
        base = _retain_mean(book, usage, layer, rows) if place is None else book[place]
        edited[layer, rows] = base + sampled * spread * noise
        scale[layer] = float(spread) * noise
    named = {
        name: {layer: rows.tolist() for layer, rows in found.items()} for name, found in lists.items() if name
    }
    return Replacement(
        edited, {layer: rows.tolist() for layer, rows in chosen.items()}, targets, scale, named
    )


def _targets(
    chosen: "dict[int, np.ndarray]", size: int, target: Target, target_code: int, seed: int
) -> dict[int, int | None]:
    """Return the target of each layer; a target that is itself replaced is substituted by a random other code."""
    import numpy as np

    targets: dict[int, int | None] = {}
    for layer, rows in chosen.items():
        if target == "retain_mean":
            targets[layer] = None
        elif target_code not in rows:
            targets[layer] = target_code
        else:
            left = np.setdiff1d(np.arange(size), rows)
            targets[layer] = int(np.random.default_rng([seed, layer]).choice(left))
    return targets


def _published_targets(
    chosen: "dict[int, np.ndarray]", size: int, target_code: int, seed: int
) -> dict[int, int | None]:
    """Return one target for all layers; as released, only the first layer's replaced codes are excluded."""
    import numpy as np

    taken = next(iter(chosen.values()))
    # The released script samples this from NumPy's legacy stream and the noise from PyTorch's.
    stream = np.random.RandomState(seed)
    place = target_code
    while place in taken:
        place = int(stream.randint(0, size))
    return dict.fromkeys(chosen, place)


def _noise(book: "Tensor", rows: "np.ndarray", stream: "torch.Generator", published: bool) -> "Tensor":
    """Return standard normal rows [k, C]."""
    import torch

    if published:
        return torch.randn((len(rows), book.shape[1]), generator=stream)
    # A code's noise does not depend on the other codes, so that strengths differ by the number of codes alone.
    return torch.randn(tuple(book.shape), generator=stream)[torch.from_numpy(rows)]


def _retain_mean(book: "Tensor", usage: "CodeUsage", layer: int, rows: "np.ndarray") -> "Tensor":
    import torch

    share = torch.from_numpy(_retain_weights(usage, layer, rows)).to(book.device)
    mean: Tensor = (share @ book.double()).to(book.dtype)
    return mean


def _retain_weights(usage: "CodeUsage", layer: int, rows: "np.ndarray") -> "np.ndarray":
    """Share of retain tokens of each code that stays in place, [K]; ConfigError where there are none."""
    import numpy as np

    weights = usage.retain_count[layer].astype(np.float64)
    weights[rows] = 0.0
    if weights.sum() == 0.0:
        raise ConfigError(
            f"unlearn.lcr.target is retain_mean, but no retain clip uses a code of layer {layer} "
            f"that stays in place; lower {KEY}"
        )
    share: np.ndarray = weights / weights.sum()
    return share


def _without_mean_direction(rows: "Tensor") -> "Tensor":
    mean = rows.mean(dim=0)
    unit = mean / mean.norm()
    left: Tensor = rows - (rows @ unit)[:, None] * unit
    return left


def ranks_by(knobs: Lcr) -> str:
    """Return the column of usage.parquet that codes are ranked by."""
    return {"ratio": "ratio", "log_odds": "log_odds_z"}[knobs.score]


METHOD = Method(
    name="lcr",
    label="LCR",
    section=Lcr,
    changes=("tokenizer",),
    apply=apply,
    colour=Colour("#0072b2", "#5cb0ee"),
    marker="o",
    strength=Strength("K = {}", axis="replaced codes K"),
    ranks_by=ranks_by,
)
