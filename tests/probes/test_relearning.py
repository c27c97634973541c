"""Relearning: the attacked models learn the sampled clips, same seed same bytes, the input is never written to."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_bundles import same_bits, state, tiny_bundle, tiny_clips

from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.generators.sampling import Negative
from hmu_tasks.models.text.embeddings import embed_texts
from hmu_tasks.probes.attacked import exchanged
from hmu_tasks.probes.relearning import relearn
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.training.loop.batches import ClipSet
from hmu_tasks.training.loop.code_batches import CodeSet

CPU = torch.device("cpu")
KNOBS = {"rate": 1e-2, "batch": 4, "device": CPU}


def losses(bundle: Bundle, clips: ClipSet) -> list[float]:
    """Training losses of base and residual transformer on clips, with the same random numbers for every bundle."""
    captions = [[caption.text for caption in row] for row in clips.captions]
    vectors = embed_texts(bundle.text, [text for row in captions for text in row])
    known = CodeSet(bundle.model.tokenizer.encode(clips.features), captions, vectors)
    found = []
    for network in bundle.model.networks.values():
        total = 0.0
        for seed in range(4):
            generator = torch.Generator().manual_seed(seed)
            codes, text, lengths = known.batch(np.arange(len(clips.ids)), generator, CPU)
            with torch.no_grad():
                total += float(network.training_loss(codes, text, lengths, generator).loss)
        found.append(total / 4)
    return found


@pytest.mark.parametrize("model", ["momask", "bamm"])
def test_the_clips_are_learnt_and_the_input_stays(model: str) -> None:
    bundle, clips = tiny_bundle(model), tiny_clips()
    before = state(bundle)
    found = relearn(bundle, clips, shots=6, steps=[20, 2], seed=1, **KNOBS)  # type: ignore[arg-type]
    assert list(found) == [2, 20]
    assert same_bits(before, state(bundle))
    start, little, much = (losses(b, clips) for b in (bundle, found[2], found[20]))
    assert all(c < b < a for a, b, c in zip(start, little, much, strict=True))
    for attacked in found.values():
        after = state(attacked)
        changed = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
        assert changed == {"base", "residual"}
        networks = attacked.model.networks.values()
        assert not any(n.training or any(p.requires_grad for p in n.parameters()) for n in networks)
    digests = [bundle.generator_digest, *(b.generator_digest for b in found.values())]
    assert len(set(digests)) == 3
    assert found[2].text_digest == bundle.text_digest


def test_same_seed_same_bytes_and_more_steps_change_nothing_before_them() -> None:
    clips = tiny_clips()
    one, again, longer, other = (
        relearn(tiny_bundle(), clips, shots=4, steps=steps, seed=seed, **KNOBS)  # type: ignore[arg-type]
        for steps, seed in (([3], 1), ([3], 1), ([3, 6], 1), ([3], 2))
    )
    assert same_bits(state(one[3]), state(again[3]))
    assert one[3].digest == again[3].digest
    assert same_bits(state(one[3]), state(longer[3]))
    assert not same_bits(state(one[3]), state(other[3]))


def test_few_shots_are_the_first_of_more() -> None:
    clips = tiny_clips()
    kept: list[set[str]] = []
    for shots in (2, 4):
        sampled = np.random.default_rng([1, 11]).permutation(len(clips.ids))[:shots]
        kept.append({clips.ids[i] for i in sampled})
        alone = ClipSet(
            [clips.ids[i] for i in sampled],
            [clips.features[i] for i in sampled],
            [clips.captions[i] for i in sampled],
        )
        found = relearn(tiny_bundle(), clips, shots=shots, steps=[15], seed=1, **KNOBS)[15]  # type: ignore[arg-type]
        assert sum(losses(found, alone)) < sum(losses(tiny_bundle(), alone))
    assert kept[0] < kept[1]


def test_a_text_to_steer_away_from_stays() -> None:
    steered = tiny_bundle().model.with_negative(Negative(torch.ones(6), 0.5))
    bundle = exchanged(tiny_bundle(), base=steered.base, residual=steered.residual)
    found = relearn(bundle, tiny_clips(), shots=2, steps=[1], seed=1, **KNOBS)[1]  # type: ignore[arg-type]
    assert found.model.base.negative is not None
    assert found.model.base.negative.weight == 0.5


def test_too_few_clips_are_an_error_with_numbers() -> None:
    clips = tiny_clips(3)
    with pytest.raises(DataError, match="4 clips needs as many, but the training split has 3"):
        relearn(tiny_bundle(), clips, shots=4, steps=[1], seed=1, **KNOBS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shots must be at least 1"):
        relearn(tiny_bundle(), replace(clips, ids=[]), shots=0, steps=[1], seed=1, **KNOBS)  # type: ignore[arg-type]
