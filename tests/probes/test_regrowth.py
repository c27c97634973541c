"""Regrowth: old codes keep their meaning, new ones are the clips' own, and relearning trains them."""

import numpy as np
import pytest
import torch
from tiny_bundles import FEATURES, same_bits, state, tiny_bundle

from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.probes.regrowth import grown, grown_books


def clips(count: int = 5) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.standard_normal((40, FEATURES)).astype(np.float32) for _ in range(count)]


@pytest.mark.parametrize("model", ["momask", "bamm"])
def test_old_codes_keep_their_rows_and_new_ones_follow(model: str) -> None:
    bundle = tiny_bundle(model)
    before = state(bundle)
    found = grown(bundle, clips(), rows=6, seed=1)
    assert same_bits(before, state(bundle))
    count = bundle.model.codebooks.shape[1]
    assert found.model.codebooks.shape[1] == count + 6
    assert torch.equal(found.model.codebooks[:, :count], bundle.model.codebooks)
    assert found.digest != bundle.digest
    assert found.generator_digest != bundle.generator_digest
    for layer in range(len(bundle.model.codebooks)):
        for old, new in zip(bundle.model.code_rows(layer), found.model.code_rows(layer), strict=True):
            assert torch.equal(new[:count], old[:count])
            special = len(old) - count
            assert len(new) == count + 6 + special
            if special:  # masks, ends and padding follow the codes again
                assert torch.equal(new[-special:], old[-special:])
    text = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    codes = found.model.generate_codes(
        text, [16, 24, 16], sampling=Sampling(steps=2), generator=torch.Generator().manual_seed(1)
    )
    assert [len(one) for one in codes] == [4, 6, 4]
    assert all(one.min() >= 0 and one.max() < count + 6 for one in codes)


def test_new_codes_represent_the_clips_better() -> None:
    bundle = tiny_bundle()
    wanted = clips()
    found = grown(bundle, wanted, rows=12, seed=1).model.tokenizer
    count = bundle.model.codebooks.shape[1]

    def error(tokenizer: object) -> float:
        latents = [
            tokenizer.network.latent(((torch.from_numpy(clip) - tokenizer.mean) / tokenizer.std)[None])[0]
            for clip in wanted
        ]
        codes = tokenizer.encode(wanted)
        return float(
            sum(
                (latent.detach().numpy() - known).__pow__(2).sum()
                for latent, known in zip(latents, tokenizer.latents(codes), strict=True)
            )
        )

    assert error(found) < error(bundle.model.tokenizer)
    used = np.concatenate([codes[:, 0] for codes in found.encode(wanted)])
    assert (used >= count).any()


def test_no_more_rows_than_half_of_the_tokens() -> None:
    books = grown_books(tiny_bundle().model.tokenizer, clips(1), rows=500, seed=1)
    assert books.shape[1] == 64 + 5
