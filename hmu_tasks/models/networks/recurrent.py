"""Bidirectional GRUs over padded batches."""

import torch
from torch import Tensor, nn


def read_both_ways(
    gru: nn.GRU, x: Tensor, lengths: Tensor, start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Run a one-layer bidirectional GRU over rows of different lengths, as over packed rows but faster on a CPU.

    x: [B, T, C]; lengths: [B], on the CPU; start: [2, B, H] first states, zeros by default. Returns the states
    [B, T, 2H], of which those beyond a row's length mean nothing, and each direction's last state [2, B, H].
    """
    assert (gru.bidirectional, gru.num_layers, gru.batch_first) == (True, 1, True)
    if x.is_cuda:  # cuDNN reads packed rows in one kernel
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        states, last = gru(packed, start)
        return nn.utils.rnn.pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])[0], last
    # A step over packed rows is a slice, whose gradient fills a tensor of the whole input's size: quadratic in T.
    # Over padded rows both directions run from the left, the second over each row turned round within its length.
    rows, steps = x.shape[:2]
    step, length = torch.arange(steps)[None], lengths[:, None]
    turned = torch.where(step < length, length - 1 - step, step)[..., None]
    if start is None:
        start = x.new_zeros(2, rows, gru.hidden_size)
    weights: list[Tensor] = list(gru.parameters())
    directions = []
    for d, motion in enumerate((x, x.gather(1, turned.expand_as(x)))):
        states, _ = torch.gru(
            motion, start[d : d + 1], weights[4 * d : 4 * d + 4], True, 1, 0.0, False, False, True
        )
        directions.append(states)
    last = torch.stack([states[torch.arange(rows), lengths - 1] for states in directions])
    back = directions[1].gather(1, turned.expand_as(directions[1]))
    return torch.cat([directions[0], back], dim=-1), last
