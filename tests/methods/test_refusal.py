"""Refusal vectors: which directions are found, what their removal keeps, and on which networks."""

import numpy as np
import pytest
import torch
from torch import nn

from hmu_tasks.methods import refusal
from hmu_tasks.models import MODELS, model_named
from hmu_tasks.runtime.addresses import found_at
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.training.loop.code_batches import CodeSet

CPU = torch.device("cpu")
CODES, QUANTIZERS, WIDTH = 12, 4, 16
SIZES = {
    "codes": CODES,
    "code_width": 8,
    "latent": WIDTH,
    "layers": 2,
    "heads": 2,
    "feedforward": 24,
    "text_width": 6,
}
NETWORKS = [(model, part) for model in MODELS for part in model_named(model).networks]


def network_of(model: str, part: str) -> nn.Module:
    described = model_named(model).networks[part]
    kind = found_at(described.config)
    more = {"quantizers": QUANTIZERS} if "quantizers" in kind.__dataclass_fields__ else {}
    return found_at(described.network)(kind(**SIZES, **more), seed=1).eval()


def clips(lengths: list[int], *, seed: int = 0) -> CodeSet:
    rng = np.random.default_rng(seed)
    rows = {
        f"text {i}": torch.randn(1, 6, generator=torch.Generator().manual_seed(i))
        for i in range(len(lengths))
    }
    return CodeSet(
        [rng.integers(0, CODES, (length, QUANTIZERS)) for length in lengths], [[name] for name in rows], rows
    )


def test_the_direction_is_what_only_forget_activations_have() -> None:
    random = torch.Generator().manual_seed(0)
    spread = torch.tensor([5.0, 1.0, 1.0, 0.1], dtype=torch.float64)
    retain = torch.randn(4000, 4, generator=random, dtype=torch.float64) * spread + 3.0
    forget = torch.randn(4000, 4, generator=random, dtype=torch.float64) * spread + 3.0
    forget[:, 1] += 2.0  # the concept; the widest direction, 0, is everybody's
    basis = refusal.directions(forget, retain, rank=1, contrast=1.0)
    assert abs(float(basis[1, 0])) > 0.97
    without = refusal.directions(forget, retain, rank=1, contrast=0.0)
    assert abs(float(without[0, 0])) > 0.9
    # Of the retain set's own activations nothing is left but noise; more directions than positive ones are not taken.
    assert refusal.directions(retain, retain, rank=4, contrast=1.5).shape == (4, 0)


def test_a_removal_moves_outputs_along_the_directions_only_and_keeps_the_mean() -> None:
    random = torch.Generator().manual_seed(1)
    linear = nn.Linear(5, 4)
    basis, _ = torch.linalg.qr(torch.randn(4, 2, generator=random, dtype=torch.float64))
    mean = torch.randn(4, generator=random, dtype=torch.float64)
    inputs = torch.randn(7, 5, generator=random)
    before = linear(inputs).double()
    for share in (0.5, 1.0):
        weight, bias = refusal.removed(linear.weight.detach(), linear.bias.detach(), basis, mean, share=share)
        after = nn.functional.linear(inputs, weight, bias).double()
        along, rest = (after - mean) @ basis, (after - mean) - (after - mean) @ basis @ basis.T
        torch.testing.assert_close(along, (1 - share) * (before - mean) @ basis, atol=1e-5, rtol=0)
        torch.testing.assert_close(
            rest, (before - mean) - (before - mean) @ basis @ basis.T, atol=1e-5, rtol=0
        )
        assert (weight.dtype, bias.dtype) == (torch.float32, torch.float32)


@pytest.mark.parametrize(("model", "part"), NETWORKS)
def test_every_layer_of_every_network_is_read(model: str, part: str) -> None:
    network = network_of(model, part)
    maps = refusal.output_maps(network)
    assert len(maps) == 2 * SIZES["layers"]
    lengths = [5, 3, 5, 4]
    found = refusal.activations(network, clips(lengths), np.arange(4), seed=3, device=CPU)
    assert found.keys() == maps.keys()
    assert all(one.shape == (4, WIDTH) and bool(one.isfinite().all()) for one in found.values())
    again = refusal.activations(network, clips(lengths), np.arange(4), seed=3, device=CPU)
    assert all(torch.equal(found[place], again[place]) for place in found)
    assert not any(module._forward_hooks for module in network.modules())


def test_clips_that_do_not_fit_at_once_are_read_in_parts(capsys: pytest.CaptureFixture[str]) -> None:
    network = network_of("momask", "base")
    known = clips([5] * 4)
    expected = refusal.activations(network, known, np.arange(4), seed=3, device=CPU)
    last = list(refusal.output_maps(network).values())[-1]

    def full(_: nn.Module, given: tuple[torch.Tensor]) -> None:
        if len(given[0]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    last.register_forward_pre_hook(full)
    found = refusal.activations(network, known, np.arange(4), seed=3, device=CPU)
    told = "note: 4 clips do not fit into the GPU's memory at once; now 2 at a time\n"
    assert capsys.readouterr().err == told
    assert all(one.shape == expected[place].shape for place, one in found.items())
    # What the failed batch drew is drawn again: the first half is that of two clips alone.
    half = refusal.activations(network, known, np.arange(2), seed=3, device=CPU)
    assert all(torch.equal(one[:2], half[place]) for place, one in found.items())


def test_the_mean_is_that_of_the_codes_and_not_of_the_text() -> None:
    network = network_of("momask", "base")
    heard: dict[str, torch.Tensor] = {}
    place, linear = next(iter(refusal.output_maps(network).items()))
    hook = linear.register_forward_hook(lambda _, __, out: heard.update(out=out))
    found = refusal.activations(network, clips([4]), np.arange(1), seed=0, device=CPU)[place]
    hook.remove()
    torch.testing.assert_close(
        found, heard["out"][:, 1:].double().mean(dim=1)
    )  # one token of text, four codes


def test_a_network_without_layers_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Linear has none; take it out of run\.methods"):
        refusal.output_maps(nn.Linear(2, 2))
