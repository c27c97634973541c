"""Refusal vectors: directions that forget clips share and retain clips lack are taken out of every transformer layer.

Facchiano et al. 2025, "Video Unlearning via Low-Rank Refusal Vector" (arXiv 2506.07891), for generators of codes: per
map of a layer, a low-rank factor of the contrast of two covariances, W' = (I - lambda R R^T) W, without training. That
paper contrasts pairs of an unsafe and a safe prompt; here the two sets are not paired, so that the forget side is taken
about the retain mean, and the bias keeps that mean where it is.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hmu_tasks.methods.method import NETWORKS, Colour, Knobs, Method
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.runtime.section import Count, Rate

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from hmu_tasks.methods.shared.edit import Edit
    from hmu_tasks.methods.shared.inputs import Inputs
    from hmu_tasks.models.generators.code_network import CodeNetwork
    from hmu_tasks.training.loop.code_batches import CodeSet

BATCH = 64


class Refusal(Knobs):
    """Strengths are per cent of a removal: 100 takes the directions out.

    rank: directions of each map. contrast: weight of the retain set's covariance, which spares what it varies in.
    clips: number from each of the forget and retain sets.
    """

    rank: Count
    contrast: Rate
    clips: Count


def apply(given: "Inputs", knobs: Refusal, *, seed: int) -> "Iterator[Edit]":
    """Yield an edit of every layer's two output maps per strength."""
    import numpy as np

    from hmu_tasks.data.clips.id_lists import ROLES
    from hmu_tasks.methods.shared.cost import Cost
    from hmu_tasks.methods.shared.edit import Edit, ListedChanges

    rng = np.random.default_rng([given.seed, seed])
    chosen = {
        role: np.sort(rng.permutation(len(given.coded[role].codes))[: knobs.clips])
        for role in (ROLES if any(knobs.strengths) else ())
    }
    networks, found = given.bundle.model.networks, {}
    for name, network in networks.items() if chosen else ():
        forget, retain = (
            activations(network, given.coded[role], rows, seed=given.seed + seed, device=given.device)
            for role, rows in chosen.items()
        )
        found[name] = {
            place: (
                directions(forget[place], rest, rank=knobs.rank, contrast=knobs.contrast),
                rest.mean(dim=0),
            )
            for place, rest in retain.items()
        }
    for strength in knobs.strengths:
        states = {}
        for name, maps in found.items() if strength else ():
            states[name] = dict(networks[name].state_dict())
            for place, (basis, mean) in maps.items():
                weight, bias = f"{place}.weight", f"{place}.bias"
                states[name][weight], states[name][bias] = removed(
                    states[name][weight], states[name][bias], basis, mean, share=strength / 100
                )
        yield Edit(
            strength=strength,
            states=states,
            report={"directions": knobs.rank} if states else {},
            cost=Cost(clips_read=sum(map(len, chosen.values())) if states else 0),
            listed=ListedChanges(rows=False),
        )


def output_maps(network: "CodeNetwork") -> "dict[str, nn.Linear]":
    """Find the maps that write into the residual stream, by name: those of attention and of the feed-forward part.

    Raises ConfigError for a network without transformer layers.
    """
    from hmu_tasks.models.networks.layers import EncoderLayer

    found: dict[str, nn.Linear] = {}
    for name, module in network.named_modules():
        if isinstance(module, EncoderLayer):
            found |= {
                f"{name}.self_attn.out_proj": module.self_attn.out_proj,
                f"{name}.linear2": module.linear2,
            }
    if not found:
        raise ConfigError(
            f"refusal edits transformer layers, and {type(network).__name__} has none; take it out of run.methods"
        )
    return found


def activations(
    network: "CodeNetwork", clips: "CodeSet", rows: "np.ndarray", *, seed: int, device: "torch.device"
) -> "dict[str, Tensor]":
    """Mean output of each output map over the codes of each clip, read as a training example: place -> [n, width].

    rows: of the clips. seed: of the masked codes and the captions. Clips of one length are read together, so that none
    is padded. device: where a copy of the network reads them; the outputs are on the CPU.
    """
    import numpy as np
    import torch

    from hmu_tasks.models.networks.memory import Batches

    if device.type != "cpu":
        network = copy.deepcopy(network).to(device)
    maps = output_maps(network)
    by_place: dict[str, list[Tensor]] = {place: [] for place in maps}
    latest: dict[str, list[Tensor]] = {place: [] for place in maps}
    hooks = []
    for place, linear in maps.items():

        def note(_: "nn.Module", __: object, out: "Tensor", into: "list[Tensor]" = latest[place]) -> None:
            into.append(out[:, -length:].double().mean(dim=1))

        hooks.append(linear.register_forward_hook(note))
    generator = torch.Generator().manual_seed(seed)
    tokens = clips.tokens[rows]
    batches = Batches(BATCH, what="clips", rewind=[generator])

    def read(some: "Sequence[int]") -> None:
        for own in latest.values():
            own.clear()
        network.predicted(*clips.batch(np.asarray(some), generator, device), generator)

    try:
        with torch.no_grad():
            for length in sorted(set(tokens.tolist())):
                for _ in batches.over(rows[tokens == length].tolist(), read):
                    for place, own in latest.items():
                        by_place[place] += own
    finally:
        for hook in hooks:
            hook.remove()
    return {place: torch.cat(parts).cpu() for place, parts in by_place.items()}


def directions(forget: "Tensor", retain: "Tensor", *, rank: int, contrast: float) -> "Tensor":
    """Return an orthonormal basis R [width, k] of what forget activations [n, width] have and retain ones lack.

    Leading eigenvectors of E[(f - m)(f - m)^T] - contrast Cov(r), m the mean of r; k is at most `rank`, and smaller
    where fewer eigenvalues are positive.
    """
    import torch

    apart = forget - retain.mean(dim=0)
    difference = apart.T @ apart / len(apart) - contrast * torch.cov(retain.T, correction=0)
    values, vectors = torch.linalg.eigh(difference)
    leading: Tensor = vectors[:, -rank:][:, values[-rank:] > 0]
    return leading


def removed(
    weight: "Tensor", bias: "Tensor", basis: "Tensor", mean: "Tensor", *, share: float
) -> "tuple[Tensor, Tensor]":
    """Return weight and bias of y - share R R^T (y - m), y = W x + b: outputs at the mean m stay where they are."""
    start, shift = weight.double(), bias.double()
    less = share * basis @ basis.T
    return (start - less @ start).to(weight.dtype), (shift - less @ (shift - mean)).to(bias.dtype)


METHOD = Method(
    name="refusal",
    label="refusal vectors",
    short="refusal",
    section=Refusal,
    changes=(NETWORKS,),
    apply=apply,
    colour=Colour("#8c6d31", "#cdaa5f"),
    marker="p",
)
