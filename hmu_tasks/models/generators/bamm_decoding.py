"""BAMM's cascaded decoding: a pass from left to right, then a second one around the tokens that stay.

Pinyoanuntapong et al. 2024, "BAMM: Bidirectional Autoregressive Motion Model" (arXiv 2403.19435), section 3.3.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from hmu_tasks.models.generators.bamm_attention import CachedReader, FullReader
from hmu_tasks.models.generators.sampling import conditions, mask_counts, mixed, row_uniforms, sample_codes
from hmu_tasks.models.networks.layers import evaluating, inside_mask
from hmu_tasks.models.networks.lengths import bucket
from hmu_tasks.models.networks.recording import replayed

if TYPE_CHECKING:
    from hmu_tasks.models.generators.bamm_base import BammTransformer
    from hmu_tasks.models.generators.causal import CausalTransformer

MOST_TOKENS = 49  # the longest motions of HumanML3D have 196 frames


@dataclass(frozen=True)
class _Pass:
    """Settings of one decoding pass.

    end: whether the end of the motion may be sampled (never as the first token). keep: leave the known tokens
    in place while the others are sampled. grows: nothing is known.
    """

    cfg_scale: float
    top_k: float
    temperature: float
    uniforms: Tensor  # [B, T]
    noise: Tensor | None  # [B, T, K + 1]
    end: bool
    keep: bool
    cached: bool
    grows: bool


@torch.no_grad()
def generate(
    network: "BammTransformer",
    text: Tensor,
    lengths: Tensor | None,
    *,
    cfg_scale: float = 4.0,
    second_cfg_scale: float = 3.0,
    temperature: float = 1.0,
    top_k: float = 0.0,
    generator: torch.Generator,
    noise: Tensor | None = None,
    most: int = MOST_TOKENS,
    cached: bool = True,
    published: bool = False,
    given: Tensor | None = None,
) -> Tensor:
    """Sample base codes from left to right, then half of them again around the others.

    text: [B, 1 + n, W]. lengths: [B] tokens, at least 1; None = the model predicts where a motion ends, after `most`
    tokens at the latest. cfg_scale, second_cfg_scale: guidance of the two passes (4 and 3 in the released
    code). top_k: share of classes cut away (the released code cuts none). temperature: 0 = greedy.
    noise: [2, B, T, K + 1] Gumbel noise used instead of `generator`.
    cached: False computes all rows again for each token, without the KV cache; the codes are the same.
    published: True decodes as released. That code loses the confidences of the first pass and sorts ties in
    no fixed order, so the half that it resamples depends on the machine; here ties are resampled from the left. It
    also overwrites the kept tokens while it samples the others, and restores them at the end. False is what the
    paper describes: the least confident half is resampled, and the rest is kept throughout.
    given: [B, longest] codes that stay in both passes and that all rows attend to, -1 where one is sampled.
    Returns [B, longest] int64, -1 beyond a row's length. A row's codes depend on the generator, its place in
    the batch and its own length (`most` where lengths are not given), never on the lengths of the others.
    """
    if lengths is not None:
        most = int(lengths.max())
        if int(lengths.min()) < 1:
            raise ValueError(f"every length ({lengths.tolist()}) must be at least 1")
    whole = text.device.type != "cpu" and noise is None
    tokens = bucket(most) if whole and lengths is not None else most
    limits = torch.full((len(text),), most) if lengths is None else lengths
    limits = limits.to(text.device, non_blocking=True)
    decode = partial(
        _cascade,
        network,
        predicts=lengths is None,
        tokens=tokens,
        cfg_scales=(cfg_scale, second_cfg_scale),
        temperature=temperature,
        top_k=top_k,
        noise=noise,
        cached=cached,
        published=published,
    )
    key = ("cascade", lengths is None, tokens, cfg_scale, second_cfg_scale, temperature, top_k)
    inputs = [text, limits, row_uniforms(2, limits, tokens, generator)]
    if given is not None:
        inputs.append(functional.pad(given.to(text.device), (0, tokens + 1 - most), value=-1))
    with evaluating(network):
        if whole:
            more = (cached, published, id(network.negative), given is None)
            ids = replayed(network, (*key, *more), lambda *given: [decode(*given)], *inputs)[0]
            return ids[:, :most]
        ids = decode(*inputs)
    return ids[:, : int((ids >= 0).sum(dim=1).max())]


@torch.no_grad()
def draw_once(
    network: "CausalTransformer",
    text: Tensor,
    lengths: Tensor | None,
    *,
    cfg_scale: float,
    temperature: float,
    top_k: float,
    generator: torch.Generator,
    given: Tensor | None = None,
) -> Tensor:
    """Sample base codes from left to right in one pass; arguments and result are those of `generate`."""
    most = MOST_TOKENS if lengths is None else int(lengths.max())
    limits = (torch.full((len(text),), most) if lengths is None else lengths).to(text.device)
    if given is not None:
        given = functional.pad(given.to(text.device), (0, 1), value=-1)
    ids, stays = _started(network, text, most + 1, given)
    uniforms = row_uniforms(1, limits, most, generator)[0]
    how = _Pass(
        cfg_scale=cfg_scale,
        top_k=top_k,
        temperature=temperature,
        uniforms=uniforms,
        noise=None,
        end=lengths is None,
        keep=True,
        cached=True,
        grows=True,
    )
    with evaluating(network):
        ids, _ = _draw(network, ids, text, torch.zeros_like(stays), how, stays)
    if lengths is None:
        limits = _ends(network, ids[:, :most])
    found = torch.where(inside_mask(limits, most), ids[:, :most], -1)
    return found[:, : int(limits.max())]


def _cascade(
    network: "BammTransformer",
    text: Tensor,
    limits: Tensor,
    uniforms: Tensor,
    given: Tensor | None = None,
    *,
    predicts: bool,
    tokens: int,
    cfg_scales: tuple[float, float],
    temperature: float,
    top_k: float,
    noise: Tensor | None,
    cached: bool,
    published: bool,
) -> Tensor:
    """Both passes of `generate`, without waiting for the device: [B, tokens], -1 beyond a length.

    limits: [B] lengths, or with `predicts` the most tokens. uniforms: [2, B, tokens]. given: [B, tokens + 1].
    """
    ids, stays = _started(network, text, tokens + 1, given)
    first = _Pass(
        cfg_scale=cfg_scales[0],
        top_k=top_k,
        temperature=temperature,
        uniforms=uniforms[0],
        noise=None if noise is None else noise[0],
        end=predicts,
        keep=True,
        cached=cached,
        grows=given is None,
    )
    second = replace(
        first,
        cfg_scale=cfg_scales[1],
        uniforms=uniforms[1],
        noise=None if noise is None else noise[1],
        end=False,
        keep=not published,
        # Keys and values may only be cached while the tokens that all rows attend to do not change.
        cached=cached and not published,
        grows=False,
    )
    ids, certainty = _draw(network, ids, text, stays, first)
    lengths = _ends(network, ids[:, :tokens]) if predicts else limits
    inside = inside_mask(lengths, tokens + 1)
    ids = torch.where(inside, ids, network.pad_id).scatter(1, lengths[:, None], network.end_id)
    if published:
        certainty = torch.zeros_like(certainty)
    ranks = certainty.masked_fill(~inside | stays, torch.inf).argsort(dim=1, stable=True).argsort(dim=1)
    freed = mask_counts(lengths - stays.sum(dim=1), torch.full((), 0.5, device=text.device))
    known = ((ranks >= freed[:, None]) & inside).scatter(1, lengths[:, None], True)
    again, _ = _draw(network, ids, text, known, second)
    return torch.where(inside, torch.where(known, ids, again), -1)[:, :tokens]


def _started(
    network: "CausalTransformer", text: Tensor, columns: int, given: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Ids [B, columns] before sampling, padding but for the codes given, [B, columns] or None; and which those are."""
    ids = torch.full((len(text), columns), network.pad_id, device=text.device)
    if given is None:
        return ids, torch.zeros_like(ids, dtype=torch.bool)
    stays = given >= 0
    return torch.where(stays, given, ids), stays


def _ends(network: "CausalTransformer", ids: Tensor) -> Tensor:
    """Number of tokens before the first end, all where there is none: [B, T] -> [B]."""
    return functional.pad(ids == network.end_id, (0, 1), value=True).int().argmax(dim=1)


def _draw(
    network: "CausalTransformer",
    ids: Tensor,
    text: Tensor,
    known: Tensor,
    how: _Pass,
    stays: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Sample ids [B, T + 1], but for the last, one by one; returns them with their log-probabilities.

    known: [B, T + 1], ids that all may attend to. stays: the same, ids that are not sampled; None: those known.
    """
    stays = known if stays is None else stays
    ids, certainty = ids.clone(), torch.zeros(ids.shape, device=ids.device)
    texts = conditions(text, how.cfg_scale, network.negative)
    times = len(texts)
    sequence, readable = network.sequence(ids.repeat(times, 1), torch.cat(texts))
    encoder, read = network.seqTransEncoder, known.repeat(times, 1)
    reader = (
        CachedReader(encoder, read, readable, sequence, grows=how.grows)
        if how.cached
        else FullReader(encoder, read, readable)
    )
    before = readable.shape[1] - 1  # rows before that of the sentence vector, which scores token 0
    for place in range(ids.shape[1] - 1):
        logits = network.output_process(reader.row(sequence, before + place))
        logits = mixed(logits.chunk(times), how.cfg_scale, network.negative).float()
        if not how.end or place == 0:
            logits = logits[:, : network.end_id]
        sampled = sample_codes(
            logits,
            top_k=how.top_k,
            temperature=how.temperature,
            uniforms=how.uniforms[:, place],
            noise=None if how.noise is None else how.noise[:, place, : logits.shape[1]],
        )
        certainty[:, place] = logits.gather(1, sampled[:, None])[:, 0] - logits.logsumexp(1)
        ids[:, place] = torch.where(stays[:, place], ids[:, place], sampled) if how.keep else sampled
        sequence[:, before + place + 1] = network.token(ids[:, place], place + 1).repeat(times, 1)
    return ids, certainty
