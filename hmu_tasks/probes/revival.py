"""Revival: an edit is reverted, by an attacker with the original weights or by one who must guess.

With the original, one component (`restore`) or single layers of the codebooks are restored. Without it, outlier rows of
the codebooks are detected and each is replaced by the likeliest row (`revive`), or, with equal knowledge as an attack
on the text side has that knows the original's projections, by the original's row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.generators.text_to_motion import TextToMotion
from hmu_tasks.probes.attacked import exchanged, part_digest
from hmu_tasks.probes.detection import odd_rows

Replacement = Literal["nearest", "similar", "predicted", "avoided", "original"]


@dataclass(frozen=True)
class Revival:
    """Result of a revival without the original: the attacked bundle, or None with the reason why it does not apply.

    suspected: layer -> codes whose rows were taken for edited ones. precision: share of them that are; recall: share of
    the edited rows that are suspected; None where there is nothing to count.
    """

    bundle: Bundle | None
    reason: str | None
    suspected: Mapping[int, Sequence[int]]
    precision: float | None
    recall: float | None


def changed_components(bundle: Bundle, original: Bundle) -> list[str]:
    """Names of the parts, tokenizer and networks, whose weights (or negative text) differ from the original's."""
    known = original.model.parts
    return [
        name for name, part in bundle.model.parts.items() if part_digest(part) != part_digest(known[name])
    ]


def restorable(bundle: Bundle, original: Bundle) -> list[str]:
    """Names of the changed components that can be replaced by the original's.

    Empty if the tokenizer was retrained (D_r): its codes have other meanings, and mixing two such models yields no
    valid motion: on the embedded benchmark, the classifier flags most of it, harmless prompts included.
    """
    retrained = tokenizer_retrained(bundle.model.codebooks, original.model.codebooks)
    return [] if retrained else changed_components(bundle, original)


def restore(bundle: Bundle, original: Bundle, *, component: str) -> Bundle:
    """Restore one part of the original's model, its tokenizer or a network; the others are not modified.

    A negative text is replaced with the network that carries it. After an edit of one part alone, the result is the
    original.
    """
    known = original.model.parts
    if component not in known:
        raise ValueError(f"{component!r} cannot be restored; choose one of {', '.join(known)}")
    return exchanged(bundle, **{component: known[component]})


def restore_layers(bundle: Bundle, original: Bundle, *, layers: Sequence[int]) -> Bundle:
    """Restore the original's codebooks of some quantizer layers; raises ValueError if the shapes differ."""
    books, source = bundle.model.codebooks, original.model.codebooks
    if books.shape != source.shape:
        raise ValueError(
            f"codebooks {list(books.shape)} and {list(source.shape)} are of different tokenizers"
        )
    books[list(layers)] = source[list(layers)]
    return _with_books(bundle, books)


def revive(bundle: Bundle, original: Bundle, *, replacement: Replacement = "predicted") -> Revival:
    """Detect outlier codebook rows, knowing the edited bundle alone, and replace them.

    original: to count how many suspects are right; only the replacement `original` reads it.
    replacement: what replaces a suspected row. `nearest`: the nearest row that is not suspected. `similar`: the
    row of the unsuspected code that the networks treat most similarly, by the cosine of its embeddings and output
    projections. `predicted`: a linear function of these, fitted to the unsuspected rows by ridge regression.
    `avoided`: suspected codes of layer 0 are never sampled again, and all layers take `similar` rows. Those three do
    not apply to a model whose networks have no such weights. `original`: the original's row of the same code.
    """
    books, source = bundle.model.codebooks, original.model.codebooks
    if books.shape != source.shape:
        return _no(OTHER_SIZE)
    if tokenizer_retrained(books, source):
        return _no("the codebooks were retrained, not edited")
    edited = (books != source).any(dim=2).cpu()
    if not bool(edited.any()):
        return _no("no codebook was changed")
    if replacement not in ("nearest", "original") and not all(
        bundle.model.code_rows(layer) for layer in range(len(books))
    ):
        return _no("the networks have no embeddings or output projections of single codes")
    if replacement == "avoided" and not bundle.model.without_codes(0, torch.zeros_like(books[0, :, 0]) > 0):
        return _no("no network can exclude a code of layer 0")
    odd = torch.stack([odd_rows(book) for book in books])
    suspected = {layer: torch.nonzero(rows).flatten().tolist() for layer, rows in enumerate(odd)}
    right, all_odd, all_edited = int((odd & edited).sum()), int(odd.sum()), int(edited.sum())
    if all_odd == 0:
        return Revival(None, "no row of the codebooks is an outlier", suspected, None, 0.0)
    return Revival(
        _replaced(bundle, original, odd.to(books.device), replacement),
        None,
        suspected,
        right / all_odd,
        right / all_edited,
    )


def why_not_swapped(bundle: Bundle, original: Bundle) -> str | None:
    """Say why the original's tokenizer cannot take the place of a bundle's; None if it can."""
    books, source = bundle.model.codebooks, original.model.codebooks
    if books.shape != source.shape:
        return OTHER_SIZE
    if tokenizer_retrained(books, source):
        return "the tokenizer was retrained: its codes have other meanings"
    if part_digest(bundle.model.tokenizer) == part_digest(original.model.tokenizer):
        return "the tokenizer is the original's"
    return None


OTHER_SIZE = "codes were deleted, so that the original's rows have no place"


def tokenizer_retrained(books: Tensor, source: Tensor) -> bool:
    """Return whether most rows of a layer differ, or there are other numbers of them; books, source: [Q, K, C]."""
    if books.shape != source.shape:
        return True
    return bool(((books != source).any(dim=2).double().mean(dim=1) > 0.5).any())


def _no(reason: str) -> Revival:
    return Revival(None, reason, {}, None, None)


def _replaced(bundle: Bundle, original: Bundle, odd: Tensor, replacement: Replacement) -> Bundle:
    """Replace the rows marked in odd [Q, K]."""
    books = bundle.model.codebooks
    if replacement == "original":
        books[odd] = original.model.codebooks[odd]
        return _with_books(bundle, books)
    row_of = ROWS["similar" if replacement == "avoided" else replacement]
    for layer, book in enumerate(books):
        bad = odd[layer]
        if bool(bad.any()) and not bool(bad.all()):
            traits = _traits(bundle.model, layer) if row_of is not _nearest else book
            books[layer, bad] = row_of(book.double(), traits, bad).to(books.dtype)
    found = _with_books(bundle, books)
    return exchanged(found, **bundle.model.without_codes(0, odd[0])) if replacement == "avoided" else found


def _with_books(bundle: Bundle, books: Tensor) -> Bundle:
    return exchanged(bundle, tokenizer=bundle.model.with_codebooks(books).tokenizer)


@torch.no_grad()
def _traits(model: TextToMotion, layer: int) -> Tensor:
    """Features of a layer's codes from the networks, standardised and concatenated: [K, W]."""
    codes = model.codebooks.shape[1]
    parts = [part[:codes].double() for part in model.code_rows(layer)]
    return torch.cat([(part - part.mean(dim=0)) / part.std() for part in parts], dim=1)


def _nearest(book: Tensor, _: Tensor, bad: Tensor) -> Tensor:
    kept = book[~bad]
    return kept[torch.cdist(book[bad], kept).argmin(dim=1)]


def _similar(book: Tensor, traits: Tensor, bad: Tensor) -> Tensor:
    unit = functional.normalize(traits, dim=1)
    return book[~bad][(unit[bad] @ unit[~bad].T).argmax(dim=1)]


def _predicted(book: Tensor, traits: Tensor, bad: Tensor, *, ridge: float = 0.03) -> Tensor:
    """Ridge regression from traits to rows; ridge: added to the covariance, in its mean entries on the diagonal."""
    known, rows = traits[~bad], book[~bad]
    middle, centre = known.mean(dim=0), rows.mean(dim=0)
    spread = known - middle
    gram = spread.T @ spread
    gram += (
        ridge
        * len(traits)
        * spread.square().mean()
        * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    )
    slopes: Tensor = torch.linalg.solve(gram, spread.T @ (rows - centre))
    return (traits[bad] - middle) @ slopes + centre


# From (codebook [K, C], traits [K, W], suspected [K]) to the rows that replace the suspected ones.
ROWS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "nearest": _nearest,
    "similar": _similar,
    "predicted": _predicted,
}
