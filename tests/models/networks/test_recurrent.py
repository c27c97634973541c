import pytest
import torch
from torch import nn

from hmu_tasks.models.networks.recurrent import read_both_ways


@pytest.mark.parametrize("given_start", [False, True])
def test_padded_rows_give_states_and_gradients_of_packed_rows(given_start: bool) -> None:
    torch.manual_seed(0)
    gru = nn.GRU(5, 7, batch_first=True, bidirectional=True)
    x = torch.randn(4, 9, 5, requires_grad=True)
    lengths = torch.tensor([3, 9, 1, 6])
    start = torch.randn(2, 4, 7) if given_start else None
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    states, last = gru(packed, start)
    states = nn.utils.rnn.pad_packed_sequence(states, batch_first=True)[0]
    inside = (torch.arange(9)[None] < lengths[:, None])[..., None]

    fast_states, fast_last = read_both_ways(gru, x, lengths, start)

    torch.testing.assert_close(fast_states * inside, states)
    torch.testing.assert_close(fast_last, last)
    wanted = torch.autograd.grad((states.square().sum() + last.sum()), [x, *gru.parameters()])
    got = torch.autograd.grad((fast_states * inside).square().sum() + fast_last.sum(), [x, *gru.parameters()])
    for fast, slow in zip(got, wanted, strict=True):
        torch.testing.assert_close(fast, slow)
