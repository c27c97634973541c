"""Casts: weights rounded to fewer bits and back, or the smallest of them dropped, which may undo small edits.

Zhang et al. 2024, "Catastrophic Failure of LLM Unlearning via Quantization" (arXiv 2410.16454): edits smaller than a
rounding step disappear in it.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.text.encoders import ClipTextEncoder
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
from hmu_tasks.probes.attacked import exchanged, network_of

Cast = Callable[[nn.Module, Tensor], Tensor]


def to_bfloat16(bundle: Bundle) -> Bundle:
    """Round every weight and codebook entry to bfloat16 and back to its own type: a relative error of at most 2⁻⁸."""
    return _cast(bundle, lambda _, values: values.to(torch.bfloat16).to(values.dtype))


def to_integers(bundle: Bundle, *, bits: int = 8) -> Bundle:
    """Round every matrix to signed integers of `bits` bits and back; vectors (biases, norms) are unchanged.

    Symmetric, one scale per output channel: a row of a linear layer, embedding or codebook, a filter of a convolution.
    With the largest magnitude m of a channel, the scale is s = m / (2^(bits - 1) - 1) and the error at most s / 2.
    bits: 2 to 16.
    """
    if not 2 <= bits <= 16:
        raise ValueError(f"bits must lie between 2 and 16, not {bits}")
    levels = 2 ** (bits - 1) - 1

    def rounded(module: nn.Module, values: Tensor) -> Tensor:
        if values.ndim < 2:
            return values
        # A convolution's filter is one channel; a stack of matrices, as the residual transformer has, is one per row.
        channels = values.flatten(1) if isinstance(module, nn.Conv1d) else values
        scale = channels.abs().amax(dim=-1, keepdim=True) / levels
        whole = (channels / torch.where(scale > 0, scale, 1.0)).round().clamp(-levels, levels)
        restored: Tensor = whole * scale
        return restored.view_as(values)

    return _cast(bundle, rounded)


def pruned_weights(bundle: Bundle, *, share: float) -> Bundle:
    """Set the smallest weights of every matrix to zero, vectors unchanged: magnitude pruning (Han et al. 2015).

    share: of each matrix's entries, between 0 and 1. Codebooks, whose rows are points and no weights, are unchanged,
    and so are tables of positions.
    """

    def thinned(_: nn.Module, values: Tensor) -> Tensor:
        if values.ndim < 2 or not values.numel() or not isinstance(values, nn.Parameter):
            return values
        cut = values.abs().flatten().kthvalue(max(1, int(share * values.numel()))).values
        return torch.where(values.abs() <= cut, 0.0, values)

    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1, not {share}")
    return _cast(bundle, thinned)


def _cast(bundle: Bundle, cast: Cast) -> Bundle:
    parts = {"text": bundle.text, **bundle.model.parts}
    return exchanged(bundle, **{name: _part(part, cast) for name, part in parts.items()})


@torch.no_grad()
def _part(part: Any, cast: Cast) -> Any:
    """Return a copy of a bundle's part with every floating-point tensor of its state dict cast."""
    # The statistics of a tokenizer are constants of its input, and CLIP's word list is text: neither is a weight.
    network = copy.deepcopy(network_of(part))
    for module in network.modules():
        for name, values in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            if name not in module._non_persistent_buffers_set and values.is_floating_point():
                values.copy_(cast(module, values))
    if isinstance(part, Tokenizer):
        return Tokenizer(network, part.mean, part.std)  # type: ignore[arg-type]  # a copy of an RVQ-VAE
    if isinstance(part, ClipTextEncoder):
        other = copy.copy(part)
        other.model = network
        return other
    return network
