"""The data row `fresh-real`: new clips of the embedded benchmark's grammar, measured as generated motion is.

They come from the distribution of the test split itself, so that their FID and KID are what a perfect model would have:
the floor that the number of motions sets.
"""

from collections.abc import Mapping

import numpy as np

from hmu_tasks.data.datasets.synthetic.writer import sample_pair
from hmu_tasks.evaluation import measurements, splits
from hmu_tasks.evaluation.intervals import records
from hmu_tasks.evaluation.measurements import Scores
from hmu_tasks.evaluation.prompts import caption_prompts
from hmu_tasks.evaluation.session import Session
from hmu_tasks.metrics.records import Record, labelled
from hmu_tasks.models.networks.lengths import UNIT
from hmu_tasks.runtime import paths
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet

FRESH = "fresh-real"
APART = 1_000_003  # between the seeds of the dataset and of its new clips


def fresh_rows(
    session: Session, identity: Mapping[str, str], *, seed: int, forget_share: float
) -> list[Record]:
    """Measure as many new clips as the test splits have against the real motions of these.

    seed: that of the dataset; forget_share: share of violent clips in its test split. A clip belongs to the forget set
    where one of its captions holds a keyword of the concept.
    """
    count = sum(session.splits[name].prompts.n for name in ("forget", "retain"))
    rows: list[Record] = []
    for name, clips in _sampled(session, seed + APART, count, forget_share).items():
        tested = session.splits[name]
        asked = caption_prompts(clips, repeats=tested.prompts.repeats, seed=session.protocol.seed)
        split = splits.prepare(
            name, asked, session.evaluators, session.protocol_of(name), clips.features, cache=paths.CACHE
        )
        split.real, split.real_clusters, split.gallery = tested.real, tested.clusters, tested.gallery
        split.origins, split.sample = [one.removeprefix("M") for one in clips.ids], f"{FRESH}/{name}"
        once = measurements.score(clips.features, session.evaluators, session.protocol)
        scores = Scores.joined([once] * asked.repeats)
        found = measurements.assemble(split, scores, session.protocol)
        labels = labelled({**identity, "method": FRESH}, edit=None, strength=None, seed=None)
        rows += records(found, labels, seed=session.protocol.seed)
    return rows


def _sampled(session: Session, seed: int, count: int, forget_share: float) -> dict[str, ClipSet]:
    """New clips with their mirror images by the set that their captions put them into; sets of at least two."""
    holds = session.protocol.keyword
    found: dict[str, ClipSet] = {name: ClipSet([], [], []) for name in ("forget", "retain")}
    for index in range(count // 2):
        for clip_id, clip in zip(
            (f"{index:06d}", f"M{index:06d}"),
            sample_pair(seed, "test", index, forget_share=forget_share),
            strict=True,
        ):
            captions = [CaptionWords(one.text, one.tokens.split(" ")) for one in clip.captions]
            part = found["forget" if holds is not None and holds(captions).any() else "retain"]
            part.ids.append(clip_id)
            part.features.append(np.asarray(clip.features[: len(clip.features) // UNIT * UNIT]))
            part.captions.append(captions)
    return {name: clips for name, clips in found.items() if len(clips.ids) > 1}
