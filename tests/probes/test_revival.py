"""Revival: restored parts are the original's bit for bit, planted rows are found, the input is never written to."""

import pytest
import torch
from tiny_bundles import same_bits, state, tiny_bundle, with_books
from torch import Tensor

from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.generators.sampling import Negative
from hmu_tasks.probes.attacked import exchanged
from hmu_tasks.probes.detection import odd_rows
from hmu_tasks.probes.revival import changed_components, restorable, restore, restore_layers, revive

ROWS = [3, 17, 31, 40, 63]


def trained_book(codes: int = 256, width: int = 16, seed: int = 0) -> Tensor:
    """Rows that vary much in few directions and hardly in the others."""
    random = torch.Generator().manual_seed(seed)
    turned = torch.linalg.qr(torch.randn(width, width, generator=random)).Q
    return torch.randn(codes, width, generator=random) * 10.0 ** -torch.linspace(0, 2.5, width) @ turned


def planted(book: Tensor, noise: float, *, target: Tensor | None = None) -> Tensor:
    """The book with ROWS overwritten by a target and noise, as LCR does."""
    random = torch.Generator().manual_seed(9)
    edited = book.clone()
    centre = book.mean(dim=0) if target is None else target
    edited[ROWS] = centre + noise * book.std() * torch.randn(len(ROWS), book.shape[1], generator=random)
    return edited


def edited_bundle(original: Bundle, noise: float = 0.0) -> Bundle:
    return with_books(original, torch.stack([planted(book, noise) for book in original.model.codebooks]))


@pytest.mark.parametrize("noise", [0.0, 1e-5, 0.2, 1.0])
def test_planted_rows_are_found_and_no_others(noise: float) -> None:
    assert torch.nonzero(odd_rows(planted(trained_book(), noise))).flatten().tolist() == ROWS


def test_copies_of_a_code_are_found_with_the_code() -> None:
    book = trained_book()
    found = torch.nonzero(odd_rows(planted(book, 0.0, target=book[0]))).flatten().tolist()
    assert found == [0, *ROWS]  # nothing tells the model of a copy from the copies


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_found_where_nothing_was_edited(seed: int) -> None:
    assert not odd_rows(trained_book(seed=seed)).any()
    # Rows that are noise throughout give noise no name.
    assert not odd_rows(torch.randn(256, 16, generator=torch.Generator().manual_seed(seed))).any()
    assert not odd_rows(torch.zeros(8, 4)).any()
    assert not odd_rows(torch.zeros(1, 4)).any()


@pytest.mark.parametrize("replacement", ["nearest", "similar", "predicted", "avoided"])
@pytest.mark.parametrize("model", ["momask", "bamm"])
def test_blind_revival_changes_suspected_rows_only(model: str, replacement: str) -> None:
    original = tiny_bundle(model)
    edited = edited_bundle(original)
    before = state(edited)
    found = revive(edited, original, replacement=replacement)  # type: ignore[arg-type]
    assert same_bits(before, state(edited))
    assert found.bundle is not None
    assert found.suspected == dict.fromkeys(range(3), ROWS)
    assert (found.precision, found.recall) == (1.0, 1.0)
    books, after = edited.model.codebooks, found.bundle.model.codebooks
    kept = [row for row in range(books.shape[1]) if row not in ROWS]
    assert torch.equal(after[:, kept], books[:, kept])
    assert (after[:, ROWS] != books[:, ROWS]).any(dim=2).all()
    if replacement in ("nearest", "similar"):
        rows = {tuple(row) for row in books[0, kept].tolist()}
        assert {tuple(row) for row in after[0, ROWS].tolist()} <= rows
    again = revive(edited, original, replacement=replacement).bundle  # type: ignore[arg-type]
    assert again is not None
    assert same_bits(state(found.bundle), state(again))
    assert found.bundle.digest == again.digest != edited.digest


def test_prediction_recovers_rows_that_the_embeddings_tell() -> None:
    original = tiny_bundle()
    with torch.no_grad():  # embeddings from which the rows follow linearly
        turn = torch.randn(8, 8, generator=torch.Generator().manual_seed(4))
        original.model.base.token_emb.weight[:64] = original.model.codebooks[0] @ turn
    found = revive(edited_bundle(original), original, replacement="predicted")
    assert found.bundle is not None
    truth, lost, back = (
        b.model.codebooks[0, ROWS] for b in (original, edited_bundle(original), found.bundle)
    )
    assert (back - truth).norm() < 0.5 * (lost - truth).norm()


def test_avoided_codes_are_never_drawn_and_others_keep_their_codes() -> None:
    original = tiny_bundle()
    edited = edited_bundle(original)
    avoided, predicted = (
        revive(edited, original, replacement=name).bundle for name in ("avoided", "predicted")
    )  # type: ignore[arg-type]
    assert avoided is not None
    assert predicted is not None
    ids, text, lengths = torch.zeros(2, 6, dtype=torch.long), torch.randn(2, 6), torch.tensor([6, 4])
    logits = [b.model.base.logits(ids, text, lengths, 2.0) for b in (edited, avoided)]  # type: ignore[attr-defined]
    kept = [code for code in range(64) if code not in ROWS]
    assert torch.equal(logits[0][..., kept], logits[1][..., kept])
    assert float(logits[1][..., ROWS].max()) < float(logits[1][..., kept].min()) - 1000
    # New rows alone do not change the sampler of codes, so cached codes may be reused.
    assert predicted.generator_digest == edited.generator_digest != avoided.generator_digest


def test_where_blind_revival_does_not_apply_it_says_why() -> None:
    original = tiny_bundle()
    for bundle, reason in [
        (original, "no codebook was changed"),
        (exchanged(original, base=tiny_bundle(seed=1).model.base), "no codebook was changed"),
        (tiny_bundle(seed=1), "were retrained, not edited"),
    ]:
        found = revive(bundle, original)
        assert found.bundle is None
        assert reason in str(found.reason)
        assert (found.precision, found.recall) == (None, None)
    subtle = original.model.codebooks
    subtle[0, 5] += 1e-4
    found = revive(with_books(original, subtle), original)
    assert (found.bundle, found.precision, found.recall) == (None, None, 0.0)
    assert found.reason == "no row of the codebooks is an outlier"


def test_restoring_the_changed_component_gives_the_original() -> None:
    original = tiny_bundle()
    edited = edited_bundle(original, 0.2)
    before = state(edited)
    assert restorable(edited, original) == ["tokenizer"]
    back = restore(edited, original, component="tokenizer")
    assert same_bits(state(back), state(original))
    assert same_bits(before, state(edited))
    assert back.digest not in (edited.digest, original.digest)
    assert back.generator_digest == edited.generator_digest


def test_restoring_takes_one_component_and_leaves_the_others() -> None:
    original, other = tiny_bundle(), tiny_bundle(seed=1)
    tuned = exchanged(original, base=other.model.base, residual=other.model.residual)
    assert restorable(tuned, original) == ["base", "residual"]
    assert restorable(original, original) == []
    back, before, source = (state(b) for b in (restore(tuned, original, component="base"), tuned, original))
    for name, values in before.items():
        assert torch.equal(back[name], source[name] if name.startswith("base.") else values), name
    assert not same_bits(back, source)
    with pytest.raises(ValueError, match="'text' cannot be restored"):
        restore(tuned, original, component="text")


def test_nothing_stands_in_for_parts_of_a_model_with_other_codes() -> None:
    assert restorable(tiny_bundle(seed=1), tiny_bundle()) == []
    assert changed_components(tiny_bundle(seed=1), tiny_bundle()) == ["tokenizer", "base", "residual"]


def test_restoring_removes_a_text_to_steer_away_from() -> None:
    original = tiny_bundle()
    steered = original.model.with_negative(Negative(torch.ones(6), 0.5))
    bundle = exchanged(original, base=steered.base, residual=steered.residual)
    assert restorable(bundle, original) == ["base", "residual"]
    back = restore(bundle, original, component="base")
    assert back.model.base.negative is None
    assert back.model.residual.negative is not None
    assert back.generator_digest != bundle.generator_digest


def test_restoring_single_layers() -> None:
    original = tiny_bundle()
    edited = edited_bundle(original, 0.2)
    books = edited.model.codebooks
    back = restore_layers(edited, original, layers=[1]).model.codebooks
    assert torch.equal(back[1], original.model.codebooks[1])
    assert torch.equal(back[[0, 2]], books[[0, 2]])
    assert torch.equal(edited.model.codebooks, books)
