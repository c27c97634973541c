"""What a GPU is given: batches gathered by index, fixed shapes, and losses whose work never waits for the device."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.causal import CausalTransformer
from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.generators.t2mgpt_base import T2mGptConfig, T2mGptTransformer
from hmu_tasks.models.networks.lengths import bucket
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.training.loop import resident
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet
from hmu_tasks.training.loop.code_batches import CodeSet
from hmu_tasks.training.loop.recorded import FixedLoss, StepInputs, agree
from hmu_tasks.training.loop.resident import Ragged
from hmu_tasks.training.loop.transformers import fixed_code_loss
from hmu_tasks.training.tokenizer import resident_windows

CPU = torch.device("cpu")
SIZES = {
    "codes": 9,
    "code_width": 8,
    "latent": 12,
    "layers": 2,
    "heads": 2,
    "feedforward": 8,
    "text_width": 6,
    "words": 4,
    "dropout": 0.0,
}
NETWORKS: dict[str, Callable[[], CodeNetwork]] = {
    "momask": lambda: MaskTransformer(MaskTransformerConfig(**SIZES), seed=1),  # type: ignore[arg-type]
    "bamm": lambda: BammTransformer(BammConfig(**SIZES), seed=1),  # type: ignore[arg-type]
    "t2mgpt": lambda: T2mGptTransformer(T2mGptConfig(**SIZES), seed=1),  # type: ignore[arg-type]
    "residual": lambda: ResidualTransformer(ResidualTransformerConfig(**SIZES, quantizers=4), seed=1),  # type: ignore[arg-type]
}


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def code_set() -> CodeSet:
    rng = np.random.default_rng(0)
    codes = [rng.integers(0, 9, size=(tokens, 4)) for tokens in (5, 9, 3, 12, 7, 20)]
    rows = {
        f"{i} {j}": torch.randn(1 + (i + j) % 4, 6, generator=generator(10 * i + j))
        for i in range(6)
        for j in range(3)
    }
    return CodeSet(codes, [[f"{i} {j}" for j in range(1 + i % 3)] for i in range(6)], rows)


def test_arrays_are_gathered_by_index() -> None:
    arrays = [np.full((n, 2), n, np.float32) + np.arange(n)[:, None] for n in (3, 1, 5)]
    found = Ragged(arrays, CPU)
    zeros = found.take(torch.tensor([2, 0]), 4)
    assert zeros[..., 0].tolist() == [[5, 6, 7, 8], [3, 4, 5, 0]]
    held = found.take(torch.tensor([1, 2]), 4, torch.tensor([0, 3]), hold=True)
    assert held[..., 1].tolist() == [[1, 1, 1, 1], [8, 9, 9, 9]]
    assert found.take(torch.tensor([2]), 8)[0, 5:].tolist() == [[0, 0]] * 3


@pytest.fixture
def every_warning() -> Iterator[None]:
    """torch gives some warnings once in a process only; here each time."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


@pytest.mark.usefixtures("every_warning")
def test_files_mapped_for_reading_are_gathered(tmp_path: Path) -> None:
    np.save(tmp_path / "clips.npy", np.arange(10, dtype=np.float32).reshape(5, 2))
    clips = np.load(tmp_path / "clips.npy", mmap_mode="r")
    found = Ragged([clips[:3], clips[3:]], CPU)
    assert found.take(torch.tensor([1]), 2).tolist() == [[[6, 7], [8, 9]]]


def test_resident_windows_are_those_of_the_host() -> None:
    rng = np.random.default_rng(1)
    features = [rng.normal(size=(frames, 5)).astype(np.float32) for frames in (8, 12, 40, 21)]
    clips = ClipSet(list("abcd"), features, [[CaptionWords("", [])]] * 4)
    mean, std = torch.rand(5, generator=generator()), torch.rand(5, generator=generator(4)) + 0.5
    kept = Ragged(features, CPU)
    for seed in range(30):
        rows = np.random.default_rng(seed).permutation(4)
        expected = clips.windows(rows, 12, generator(seed), mean, std)
        found = resident_windows(kept, torch.from_numpy(rows), 12, generator(seed), mean, std)
        assert torch.equal(found, expected)


def test_batches_gathered_in_place_are_those_of_the_host() -> None:
    known = code_set()
    assert known.move(CPU)
    for seed in range(20):
        rows = np.random.default_rng(seed).permutation(6)[:4]
        codes, text, lengths = known.batch(rows, generator(seed), CPU)
        inputs = known.inputs(rows)
        wide_codes, wide_text, same_lengths = known.gathered(inputs, generator(seed))
        assert wide_codes.shape[1] == inputs.key == bucket(int(lengths.max()), most=20)
        assert torch.equal(same_lengths, lengths)
        assert torch.equal(wide_codes[:, : codes.shape[1]], codes)
        assert not wide_codes[:, codes.shape[1] :].any()
        assert torch.equal(wide_text[:, : text.shape[1]], text)
        assert not wide_text[:, text.shape[1] :].any()
        fixed = known.batch(rows, generator(seed), CPU, fixed=True)
        assert all(torch.equal(a, b) for a, b in zip(fixed, (wide_codes, wide_text, lengths), strict=True))


def test_a_clip_without_a_caption_is_an_error_and_not_its_neighbours_caption() -> None:
    with pytest.raises(DataError, match="clip 1 of a training set has no caption"):
        CodeSet([np.zeros((4, 1)), np.zeros((4, 1))], [["a"], []], {"a": torch.zeros(3)})


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("wider", [0, 5])
def test_the_loss_of_fixed_shapes_is_the_training_loss(name: str, wider: int) -> None:
    """In gradients, too; wider: padding beyond the longest row and the longest text."""
    network = NETWORKS[name]().train()
    codes, text, lengths = code_set().batch(np.array([0, 3, 5, 2]), generator(), CPU)
    codes = nn.functional.pad(codes, (0, 0, 0, wider))
    expected = network.training_loss(codes, text, lengths, generator(8))
    expected.loss.backward()
    gradients = {key: p.grad.clone() for key, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    found = network.fixed_loss(codes, text, lengths, generator(8))
    assert found is not None
    found.loss.backward()
    torch.testing.assert_close(found.loss, expected.loss, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.accuracy.float(), expected.accuracy.float())
    assert expected.loss.item() > 1.0
    for key, parameter in network.named_parameters():
        given = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(given, gradients.get(key, torch.zeros_like(given)), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_do_not_feel_padding(name: str) -> None:
    """The networks' outputs within a length are those of the ragged batch."""
    network = NETWORKS[name]().eval()
    known = code_set()
    rows = np.array([0, 2, 4])
    codes, text, lengths = known.batch(rows, generator(), CPU)
    wide_codes, wide_text, _ = known.batch(rows, generator(), CPU, fixed=True)
    assert wide_text.shape[1] > text.shape[1] or wide_codes.shape[1] > codes.shape[1]
    if isinstance(network, ResidualTransformer):
        narrow, wide = (network.logits(c, 2, t, lengths) for c, t in ((codes, text), (wide_codes, wide_text)))
    elif isinstance(network, MaskTransformer):
        narrow, wide = (
            network.logits(c[..., 0], t, lengths) for c, t in ((codes, text), (wide_codes, wide_text))
        )
    else:
        assert isinstance(network, CausalTransformer)
        narrow, wide = (network.logits(c[..., 0], t) for c, t in ((codes, text), (wide_codes, wide_text)))
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(wide[row, :length], narrow[row, :length], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_loss_of_fixed_shapes_never_looks_at_a_value(name: str) -> None:
    """On the meta device there are shapes only: waiting for a value, or a shape that follows from one, is an error."""
    network = NETWORKS[name]().train().to("meta")
    codes = torch.empty(4, 16, 4, dtype=torch.int64, device="meta")
    text, lengths = torch.empty(4, 5, 6, device="meta"), torch.empty(4, dtype=torch.int64, device="meta")
    found = network.fixed_loss(codes, text, lengths, generator())
    assert found is not None
    found.loss.backward()
    with pytest.raises((RuntimeError, NotImplementedError)):
        network.training_loss(codes, text, lengths, generator())


def test_a_tokenizer_step_never_looks_at_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # knows no meta device
    config = TokenizerConfig(
        features=6, width=8, code_width=4, codes=8, quantizers=2, depth=1, positions_start=0, positions_stop=3
    )
    network = RVQVAE(config).train()
    network.training_loss(torch.randn(4, 16, 6), generator=generator(), active=2)
    assert network.quantizer.started
    network.to("meta")
    for active in (1, 2):
        network.training_loss(
            torch.empty(4, 16, 6, device="meta"), generator=generator(), active=active
        ).loss.backward()


def test_a_tokenizers_layers_are_the_ones_asked_for() -> None:
    config = TokenizerConfig(
        features=6, width=8, code_width=4, codes=8, quantizers=3, depth=1, positions_start=0, positions_stop=3
    )
    network = RVQVAE(config).train()
    network.training_loss(torch.randn(4, 16, 6), generator=generator(), active=1)
    assert [book.started for book in network.quantizer.books()] == [True, False, False]
    network.training_loss(torch.randn(4, 16, 6), generator=generator(), active=3)
    assert network.quantizer.started


def test_both_halves_of_a_fixed_loss_make_one_loss() -> None:
    network = NETWORKS["momask"]().train()
    known = code_set()
    loss_of = fixed_code_loss(network, known, CPU)
    rows = np.array([1, 3])
    stream = generator()
    found = network.fixed_loss(*known.gathered(known.inputs(rows), stream), stream)
    assert found is not None
    assert isinstance(loss_of, FixedLoss)
    loss, values = loss_of(rows, generator())
    assert torch.equal(loss, found.loss)
    assert values["accuracy"] == found.accuracy


def test_shapes_are_few() -> None:
    assert {bucket(n, most=49) for n in range(1, 50)} == {8, 16, 24, 32, 40, 48, 49}


def test_what_does_not_fit_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = [np.zeros((2**18, 4), np.float32)] * 2  # 8 MiB
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (17 * 2**20, 80 * 2**30))
    assert resident.fits(clips, gpu, what="clips")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (15 * 2**20, 80 * 2**30))
    assert not resident.fits(clips, gpu, what="clips")
    assert "clips of 0.0 GiB do not fit" in capsys.readouterr().err
    assert not resident.fits(clips, CPU, what="clips")


@pytest.mark.usefixtures("every_warning")
def test_weights_that_train_are_compared_like_others() -> None:
    before, plain = torch.zeros(4), torch.full((4,), 0.1)
    weights = torch.nn.Parameter(plain.clone())
    assert agree([before], [plain], [weights])
    assert agree([before], [weights], [plain])
    assert not agree([before], [plain], [torch.nn.Parameter(before.clone())])


def test_a_recorded_step_that_differs_is_seen() -> None:
    before = [torch.zeros(100), torch.ones(3)]
    plain = [torch.full((100,), 0.1), torch.full((3,), 1.1)]
    close: list[Tensor] = [plain[0] + 1e-4, plain[1]]
    assert agree(before, plain, close)
    assert agree(before, plain, plain)
    assert not agree(before, plain, before)
    assert not agree(before, plain, [plain[0] * 2, plain[1]])
    assert not agree(before, plain, [torch.full((100,), torch.nan), plain[1]])


def test_inputs_of_one_key_have_one_shape() -> None:
    known = code_set()
    known.move(CPU)
    shapes: dict[object, set[tuple[int, ...]]] = {}
    for seed in range(30):
        rows = np.random.default_rng(seed).permutation(6)[:3]
        inputs: StepInputs = known.inputs(rows)
        codes, text, _ = known.gathered(inputs, generator(seed))
        shapes.setdefault(inputs.key, set()).add((*codes.shape, *text.shape))
    assert len(shapes) > 1
    assert all(len(found) == 1 for found in shapes.values())
