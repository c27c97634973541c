"""Attention mask of BAMM's transformer, and decoding one row at a time with a KV cache."""

import torch
from torch import Tensor
from torch.nn import functional

from hmu_tasks.models.networks.layers import Encoder, EncoderLayer


def reading_order(known: Tensor, readable: Tensor | None = None) -> Tensor:
    """Return the attention mask, [B, 1, P + T, P + T] booleans (row attends to column), the text being the first rows.

    known: [B, T] true where a token is given in advance. readable: [B, P] which tokens of the text may be attended to,
    the last always; None = a text of one token. All rows attend to the text and the known tokens, which attend to each
    other only; the others also attend causally to earlier tokens (Pinyoanuntapong et al. 2024, section 3.3). With
    nothing known and a text of one token, this is the causal order.
    """
    readable = torch.ones_like(known[:, :1]) if readable is None else readable
    columns = torch.cat([readable, known], dim=1)
    rows, text = columns.shape[1], readable.shape[1]
    causal = torch.ones(rows, rows, dtype=torch.bool, device=known.device).tril()
    causal[:, :text] = False  # of the text, what may be read is in `columns`
    return ((causal & ~columns[:, :, None]) | columns[:, None, :])[:, None]


class FullReader:
    """Recomputes everything for each row, as the released code does."""

    def __init__(self, encoder: Encoder, known: Tensor, readable: Tensor) -> None:
        self.encoder = encoder
        self.order = reading_order(known, readable)

    def row(self, sequence: Tensor, place: int) -> Tensor:
        """Return the transformer's output at one row: sequence [B, P + T, width] -> [B, width]."""
        out: Tensor = self.encoder(sequence, self.order)[:, place]
        return out


class CachedReader:
    """Decodes row by row with a KV cache per layer, so that no row is computed twice.

    Exact as long as the text and the known tokens do not change: they attend to each other only, so their rows never
    change, and every other row attends to known and earlier ones.
    """

    def __init__(
        self,
        encoder: Encoder,
        known: Tensor,
        readable: Tensor,
        sequence: Tensor,
        *,
        grows: bool | None = None,
    ) -> None:
        """sequence: [B, P + T, width] at the start, with the text and the known tokens in place.

        grows: nothing is known; else each row has its place from the start; None looks.
        """
        self.encoder = encoder
        self.grows = grows = not bool(known.any()) if grows is None else grows
        order = reading_order(known, readable)
        # Looking would make the host wait for any other device.
        everywhere = grows and readable.device.type == "cpu" and bool(readable.all())
        self.order = None if everywhere else order
        self.past: list[tuple[Tensor, Tensor]] = []
        self.text = readable.shape[1]
        x = sequence[:, : self.text] if self.grows else sequence
        columns = order[:, :, :1, : x.shape[1]]  # what the text reads
        for layer in self._layers:
            query, key, value = layer.project(x)
            self.past.append((key, value))
            x = layer.finish(x, functional.scaled_dot_product_attention(query, key, value, columns))
        self.start = x[:, self.text - 1]

    @property
    def _layers(self) -> list[EncoderLayer]:
        return [layer for layer in self.encoder.layers if isinstance(layer, EncoderLayer)]

    def row(self, sequence: Tensor, place: int) -> Tensor:
        """Return the transformer's output at one row; rows come in order from the text's last, P - 1, on.

        Only the row asked for is read from `sequence`, and the text's none again.
        """
        if place < self.text:
            assert place == self.text - 1
            return self.start
        x = sequence[:, place : place + 1]
        for i, layer in enumerate(self._layers):
            query, key, value = layer.project(x)
            key, value = self._remember(i, place, key, value)
            may_read = None if self.order is None else self.order[:, :, place : place + 1, : key.shape[2]]
            x = layer.finish(x, functional.scaled_dot_product_attention(query, key, value, may_read))
        return x[:, 0]

    def _remember(self, layer: int, place: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Append a row's key and value [B, heads, 1, width] to the cache; returns all that may be attended to."""
        if not self.grows:
            for stored, new in zip(self.past[layer], (key, value), strict=True):
                stored[:, :, place] = new[:, :, 0]
        else:
            before = self.past[layer]
            self.past[layer] = (torch.cat([before[0], key], dim=2), torch.cat([before[1], value], dim=2))
        return self.past[layer]
