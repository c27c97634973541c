"""The data row `fresh-real`: new clips of the embedded benchmark's grammar, measured as generated motion is.

They come from the distribution of the test split itself, so that their FID and KID are what a perfect model would have:
the floor that the number of motions sets.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hmu_tasks.data.datasets import dataset_named
from hmu_tasks.evaluation import measurements, splits
from hmu_tasks.evaluation.intervals import records
from hmu_tasks.evaluation.measurements import Scores
from hmu_tasks.evaluation.prompts import caption_prompts
from hmu_tasks.evaluation.session import Session
from hmu_tasks.metrics.records import Record, labelled
from hmu_tasks.models.networks.lengths import UNIT
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.addresses import found_at
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet

FRESH = "fresh-real"
APART = 1_000_003  # between the seeds of the dataset and of its new clips


def fresh_rows(session: Session, identity: Mapping[str, str], *, dataset: str, seed: int) -> list[Record]:
    """Measure as many new clips as the test splits have against the real motions of these; none for recorded data.

    seed: that of the dataset. A clip belongs to the forget set where one of its captions holds a keyword of the
    concept.
    """
    sampler = dataset_named(dataset).sampler
    rows: list[Record] = []
    if sampler is None:
        return rows
    for name, clips in _sampled(session, found_at(sampler), seed + APART).items():
        tested = session.splits[name]
        asked = caption_prompts(clips, repeats=tested.prompts.repeats, seed=session.protocol.seed)
        split = splits.prepare(
            name, asked, session.evaluators, session.protocol_of(name), clips.features, cache=paths.CACHE
        )
        split.real, split.real_clusters, split.gallery = tested.real, tested.clusters, tested.gallery
        split.origins, split.sample = [one.removeprefix("M") for one in clips.ids], f"{FRESH}/{name}"
        once = measurements.score(clips.features, session.evaluators, session.protocol)
        found = measurements.assemble(split, Scores.joined([once] * asked.repeats), session.protocol)
        labels = labelled({**identity, "method": FRESH}, edit=None, strength=None, seed=None)
        rows += records(found, labels, seed=session.protocol.seed)
    return rows


def _sampled(session: Session, sample_pair: Callable[..., Sequence[Any]], seed: int) -> dict[str, ClipSet]:
    """Sample new clips with their mirror images, by the set that their captions put them into; sets of two or more."""
    forget, retain = (session.splits[name].prompts.n for name in ("forget", "retain"))
    share = forget / (forget + retain)
    holds = session.protocol.keyword
    found: dict[str, ClipSet] = {name: ClipSet([], [], []) for name in ("forget", "retain")}
    for index in range((forget + retain) // 2):
        twins = sample_pair(seed, "test", index, forget_share=share)
        for prefix, clip in zip(("", "M"), twins, strict=True):
            captions = [CaptionWords(one.text, one.tokens.split(" ")) for one in clip.captions]
            part = found["forget" if holds is not None and holds(captions).any() else "retain"]
            part.ids.append(f"{prefix}{index:06d}")
            part.features.append(np.asarray(clip.features[: len(clip.features) // UNIT * UNIT]))
            part.captions.append(captions)
    return {name: clips for name, clips in found.items() if len(clips.ids) > 1}
