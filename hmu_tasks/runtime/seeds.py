"""Random generators in which every bit of a seed counts.

Torch's generator on the CPU, a Mersenne Twister, keeps 32 bits of a seed: 0 and 2**53 give the same numbers.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

MOST_SEED = 2**63 - 1
_WORD = 2**32
_STATE = slice(24, 24 + 624 * 8)
"""Bytes of the Twister's 624 words in torch's state, behind seed, counters and flags; each word takes 8 bytes."""


def generator(seed: int, device: "torch.device") -> "torch.Generator":
    """Return a generator for a seed from 0 to 2**63 - 1; below 2**32 it is torch's own.

    Larger seeds fill the Twister's state by both of their words (Matsumoto and Nishimura 2002, `init_by_array`, as in
    numpy's RandomState).
    """
    import torch

    found = torch.Generator(device=device).manual_seed(seed)
    if seed >= _WORD and device.type == "cpu":
        words = np.random.RandomState([seed % _WORD, seed // _WORD]).get_state(legacy=False)["state"]["key"]
        state = found.get_state()
        assert len(state) == 5056, "torch keeps its generator's state in another form"
        state[_STATE] = torch.from_numpy(words.astype("<u8").view(np.uint8).copy())
        found.set_state(state)
    return found
