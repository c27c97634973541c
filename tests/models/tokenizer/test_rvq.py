from pathlib import Path

import pytest
import torch
from official_golden import fill, golden, manifest, shapes

from hmu_tasks.models.tokenizer.quantizer import Codebook, perplexity
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.runtime.errors import ConfigError, WeightsError

SMALL = TokenizerConfig(
    features=12, width=16, code_width=8, codes=16, quantizers=3, depth=2, positions_start=2, positions_stop=8
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def motions(batch: int = 8, frames: int = 32, features: int = 12, seed: int = 0) -> torch.Tensor:
    """Swinging features: each clip has its own speed and phase, each feature its own weight of sine and cosine."""
    speed, phase = torch.rand(2, batch, 1, generator=generator(seed)) * torch.tensor([[[0.3]], [[6.0]]])
    angle = (0.1 + speed) * torch.arange(frames) + phase
    weights = torch.randn(2, features, generator=generator(99))
    return angle.sin()[..., None] * weights[0] + angle.cos()[..., None] * weights[1]


def train(
    network: RVQVAE, first: int, last: int, rate: float = 2e-3
) -> tuple[torch.optim.Optimizer, list[float]]:
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate)
    return optimiser, steps(network, optimiser, first, last)


def steps(network: RVQVAE, optimiser: torch.optim.Optimizer, first: int, last: int) -> list[float]:
    losses = []
    network.train()
    for step in range(first, last):
        result = network.training_loss(motions(seed=step % 4), generator=generator(step))
        optimiser.zero_grad()
        result.loss.backward()
        optimiser.step()
        losses.append(result.loss.item())
    return losses


@pytest.mark.parity
def test_official_keys_latents_codes_and_motion(shared: Path) -> None:
    network = RVQVAE(TokenizerConfig())
    fill(network)
    assert shapes(network) == manifest(shared, "rvq_nq6_dc512_nc512_noshare_qdp0.2")
    expected = {k: torch.from_numpy(v) for k, v in golden(shared, "b_rvq").items()}
    with torch.no_grad():
        for size in ("64", "196"):
            x = expected["x" + size]
            close = {"atol": 5e-6, "rtol": 0.0}
            torch.testing.assert_close(network.latent(x).transpose(1, 2), expected["latent" + size], **close)
            codes = network.encode(x)
            assert torch.equal(codes, expected["idx" + size].long())
            torch.testing.assert_close(network.decode(codes), expected["dec" + size], **close)
            loss = network.training_loss(x, generator=generator())
            commitment, usage = expected["fwd_commit_perp" + size].tolist()
            assert loss.commitment.item() == pytest.approx(commitment, rel=1e-6)
            # the released code adds 1e-7 within the logarithm
            assert loss.perplexity.item() == pytest.approx(usage, rel=1e-5)
        random = expected["rand_idx"].long()
        torch.testing.assert_close(network.decode(random), expected["rand_dec"], atol=5e-6, rtol=0)
        torch.testing.assert_close(
            network.decode(random[..., :2]), expected["rand_dec_q2"], atol=5e-6, rtol=0
        )
    torch.testing.assert_close(network.codebooks[:, :2, :4], expected["codebook_head"])


def test_a_batch_equals_its_rows() -> None:
    network = RVQVAE(SMALL)
    train(network, 0, 3)
    network.eval()
    x = motions()
    codes = network.encode(x)
    assert codes.shape == (8, 8, 3)
    assert codes.dtype == torch.int64
    for row in range(len(x)):
        assert torch.equal(network.encode(x[row : row + 1])[0], codes[row])
    whole = network.decode(codes)
    torch.testing.assert_close(network.decode(codes[:1]), whole[:1], atol=1e-6, rtol=1e-5)


def test_decoding_adds_up_the_codes_and_takes_minus_one_as_nothing() -> None:
    network = RVQVAE(SMALL)
    train(network, 0, 3)
    network.eval()
    codes = network.encode(motions())
    partial = codes.clone()
    partial[..., 1:] = -1
    torch.testing.assert_close(network.decode(partial), network.decode(codes[..., :1]))
    books = network.codebooks
    summed = sum(books[q][codes[..., q]] for q in range(3))
    assert isinstance(summed, torch.Tensor)
    torch.testing.assert_close(network.quantizer.decode(codes), summed)


def test_greedy_residual_codes_are_nearest() -> None:
    network = RVQVAE(SMALL)
    train(network, 0, 3)
    network.eval()
    x = motions()
    codes, residual = network.encode(x), network.latent(x).detach()
    for q in range(3):
        distance = torch.cdist(residual, network.codebooks[q][None])
        assert torch.equal(distance.argmin(-1), codes[..., q])
        residual = residual - network.codebooks[q][codes[..., q]]


def test_training_reconstructs_a_tiny_set() -> None:
    network = RVQVAE(TokenizerConfig(**{**SMALL.__dict__, "dropout": 0.0}))
    _, losses = train(network, 0, 150, rate=5e-3)
    assert sum(losses[-10:]) < 0.3 * sum(losses[:10])
    network.eval()
    x = motions(seed=0)
    assert (network.decode(network.encode(x)) - x).square().mean() < 0.2 * x.square().mean()


def test_a_resumed_run_is_bit_equal_to_an_undisturbed_one() -> None:
    whole = RVQVAE(SMALL)
    train(whole, 0, 8)
    first = RVQVAE(SMALL)
    optimiser, _ = train(first, 0, 4)
    second = RVQVAE(SMALL, seed=1)
    second.load_state_dict(first.state_dict())
    second.load_training_state(first.training_state())
    again = torch.optim.AdamW(second.parameters(), lr=2e-3)
    again.load_state_dict(optimiser.state_dict())
    steps(second, again, 4, 8)
    for key, tensor in whole.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[key]), key
    for key, tensor in whole.training_state().items():
        assert torch.equal(tensor, second.training_state()[key]), key


def test_loaded_codebooks_are_never_initialised_again() -> None:
    first = RVQVAE(SMALL)
    train(first, 0, 3)
    second = RVQVAE(SMALL)
    second.load_state_dict(first.state_dict())  # an official checkpoint has no training state
    assert all(bool(book.initialised) for book in second.quantizer.books())
    before = second.codebooks.clone()
    second.train()
    second.training_loss(motions(), generator=generator())
    moved = (second.codebooks - before).norm(dim=-1) / before.norm(dim=-1)
    assert moved.max() < 0.2


def test_a_foreign_training_state_is_refused() -> None:
    network = RVQVAE(SMALL)
    state = network.training_state()
    del state["layers.1.code_sum"]
    with pytest.raises(WeightsError, match=r"layers\.1\.code_sum"):
        network.load_training_state(state)


def test_dead_codes_move_onto_latents_of_the_batch() -> None:
    book = Codebook(4, 2, ema=0.9, dead_below=1.0, temperature=0.0)
    far = torch.tensor([[0.0, 0.0], [1.0, 1.0], [100.0, 100.0], [-100.0, 0.0]])
    book._start(far)
    x = torch.tensor([[0.1, 0.0], [1.1, 1.0]]).repeat(8, 1)
    book(x, generator())
    # the two codes that nothing uses fell below a count of one and now lie on latents of the batch
    for row in book.codebook[2:]:
        assert (row - x).norm(dim=1).min() < 1e-6
    torch.testing.assert_close(book.code_count[2:], torch.ones(2))
    # the used ones moved to the running mean: (0.9 * old + 0.1 * 8 * new) / (0.9 + 0.1 * 8)
    torch.testing.assert_close(book.codebook[0], (0.9 * far[0] + 0.8 * x[0]) / 1.7)


def test_evaluation_changes_no_codebook() -> None:
    network = RVQVAE(SMALL)
    train(network, 0, 3)
    network.eval()
    before = {**network.state_dict(), **network.training_state()}
    before = {key: tensor.clone() for key, tensor in before.items()}
    network.training_loss(motions(), generator=generator())
    network.encode(motions())
    for key, tensor in {**network.state_dict(), **network.training_state()}.items():
        assert torch.equal(before[key], tensor), key


def test_quantize_dropout_trains_the_first_layers_only() -> None:
    config = TokenizerConfig(**{**SMALL.__dict__, "quantize_dropout": 1.0})
    network = RVQVAE(config)
    network.train()
    used = set()
    for step in range(40):
        before = network.codebooks.clone()
        network.training_loss(motions(), generator=generator(step))
        changed = (network.codebooks != before).flatten(1).any(1)
        assert torch.equal(changed, changed.sort(descending=True).values)  # always the first ones
        used.add(int(changed.sum()))
    assert used == {1, 2, 3}


def test_perplexity() -> None:
    assert perplexity(torch.ones(16)).item() == pytest.approx(16)
    assert perplexity(torch.tensor([5.0, 0.0, 0.0])).item() == pytest.approx(1)


def test_other_codebooks_leave_the_original_alone() -> None:
    network = RVQVAE(SMALL)
    train(network, 0, 3)
    network.eval()
    codes, before = network.encode(motions()), network.codebooks.clone()
    edited = before.clone()
    edited[0, 3] += 1.0
    other = network.with_codebooks(edited)
    assert torch.equal(network.codebooks, before)
    assert torch.equal(other.codebooks, edited)
    assert other.encoder is network.encoder
    changed = (other.decode(codes) != network.decode(codes)).flatten(1).any(1)
    assert torch.equal(changed, (codes[..., 0] == 3).any(1))
    for book, codes_of in zip(other.quantizer.books(), edited, strict=True):
        torch.testing.assert_close(book.code_sum / book.code_count[:, None], codes_of)
    with pytest.raises(ValueError, match="shape"):
        network.with_codebooks(edited[:2])


def test_global_random_state_is_untouched_and_irrelevant() -> None:
    losses = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        network = RVQVAE(SMALL)
        network.train()
        losses.append(network.training_loss(motions(), generator=generator()).loss.item())
        assert torch.equal(before, torch.get_rng_state())
    assert losses[0] == losses[1]


def test_mixed_precision_keeps_codebooks_exact() -> None:
    plain, mixed = RVQVAE(SMALL), RVQVAE(SMALL)
    plain.train()
    mixed.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = mixed.training_loss(motions(), generator=generator())
    loss.loss.backward()
    assert loss.loss.dtype == torch.float32
    assert mixed.codebooks.dtype == torch.float32
    expected = plain.training_loss(motions(), generator=generator())
    assert loss.loss.item() == pytest.approx(expected.loss.item(), rel=0.05)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="positions"):
        TokenizerConfig(features=12)
