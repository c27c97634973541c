"""Every bit of a seed counts, and small seeds are torch's own."""

import numpy as np
import torch

from hmu_tasks.runtime.seeds import MOST_SEED, generator

CPU = torch.device("cpu")


def drawn(seed: int) -> list[float]:
    return torch.rand(4, generator=generator(seed, CPU)).tolist()


def test_seeds_that_differ_in_high_bits_differ() -> None:
    assert (
        torch.Generator()
        .manual_seed(2**53)
        .get_state()
        .ne(torch.Generator().manual_seed(0).get_state())
        .sum()
        < 9
    )
    seeds = [0, 1, 2**32, 2**32 + 1, 2**53, 2**53 + 1, 2**62, MOST_SEED - 1, MOST_SEED]
    assert len({tuple(drawn(seed)) for seed in seeds}) == len(seeds)
    assert drawn(2**53) == drawn(2**53)


def test_small_seeds_are_torchs() -> None:
    for seed in (0, 7, 2**32 - 1):
        assert drawn(seed) == torch.rand(4, generator=torch.Generator().manual_seed(seed)).tolist()


def test_the_words_lie_where_torch_has_them() -> None:
    """The state of torch's generator for a seed of 32 bits holds the words of numpy's, which seeds alike."""
    state = generator(7, CPU).get_state()[24 : 24 + 624 * 8].numpy().view(np.uint64)
    np.testing.assert_array_equal(state, np.random.RandomState(7).get_state(legacy=False)["state"]["key"])
    words = generator(2**40 + 3, CPU).get_state()[24 : 24 + 624 * 8].numpy().view(np.uint64)
    twister = np.random.RandomState([3, 2**8])
    np.testing.assert_array_equal(words, twister.get_state(legacy=False)["state"]["key"])
    bits = np.random.MT19937()
    bits.state = twister.get_state(legacy=False)
    whole = torch.randint(0, 1000, (5,), generator=generator(2**40 + 3, CPU)).tolist()
    assert whole == [int(number) % 1000 for number in bits.random_raw(5)]
