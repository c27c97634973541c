"""Training of the violence classifiers on recorded motions, their reconstructions, and generated motions."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Unpack

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.data.clips import packed
from hmu_tasks.data.clips.id_lists import read_ids
from hmu_tasks.data.clips.packed import Clips
from hmu_tasks.models.evaluators.classifier import (
    CLASSIFIERS,
    ClassifierConfig,
    Violence,
    ViolenceClassifier,
    calibrate,
)
from hmu_tasks.models.networks.components import absent_reason, save_network, save_statistics
from hmu_tasks.models.networks.lengths import UNIT
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.cache import key_of
from hmu_tasks.runtime.files import write_json
from hmu_tasks.runtime.progress import Progress
from hmu_tasks.training.labelled import Generator, decoded, generator_of, some
from hmu_tasks.training.loop.coded import tokenizer_with_codes
from hmu_tasks.training.loop.fit import FitOptions, Trained, fit
from hmu_tasks.training.loop.history import Curves, History, Values
from hmu_tasks.training.loop.job import Job, split_of, statistics


@dataclass
class Labelled:
    """Clips in versions that share frame labels.

    versions: for each clip its versions, raw features [F_i, D]: recorded, rebuilt, or generated. violent: for each
    clip its frame labels [F_i], 0 or 1.
    """

    versions: list[list[np.ndarray]] = field(default_factory=list)
    violent: list[np.ndarray] = field(default_factory=list)


def train_classifier(
    network: ViolenceClassifier,
    data: Labelled,
    *,
    mean: Tensor,
    std: Tensor,
    **options: Unpack[FitOptions],
) -> Trained:
    """Train a classifier on per-frame labels.

    One version of each clip is sampled per step, and noise is added, so that high-frequency texture does not identify
    the version.
    """
    device = options["device"]
    lengths = np.array([len(group[0]) for group in data.versions])

    def loss_of(rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Values]:
        features = torch.zeros(len(rows), int(lengths[rows].max()), len(mean))
        target = torch.zeros(features.shape[:2])
        chosen = torch.rand(len(rows), generator=generator).tolist()
        for b, (i, share) in enumerate(zip(rows, chosen, strict=True)):
            clip = data.versions[i][int(share * len(data.versions[i]))]
            features[b, : len(clip)] = (torch.from_numpy(np.array(clip, np.float32)) - mean) / std
            target[b, : len(clip)] = torch.from_numpy(data.violent[i][: len(clip)].astype(np.float32))
        features += 0.1 * torch.randn(features.shape, generator=generator)
        loss = network.loss(features.to(device), target.to(device), torch.from_numpy(lengths[rows]))
        return loss, {"loss": loss}

    return fit(network, loss_of, lengths, **options)


def train(job: Job) -> History:
    """Train and calibrate both classifiers; where a dataset has no action labels, config.json records that.

    They see every training clip as recorded and as rebuilt by both tokenizers, some with their further layers sampled
    by the original, and as safe motion what the original generates for captions of the retain set: traces of decoding
    and sampling are then no evidence.
    """
    clips = packed.load(paths.CLIPS)
    if clips.actions is None:
        write_json(job.folder / "config.json", {"labels": False})
        return History()
    knobs = job.params.train.classifier
    original, retrain = (generator_of(job, variant) for variant in ("full", "retrain"))
    data = _training_data(job, clips, original)
    safe = _safe_motions(clips, original, retrain)
    mean, std = statistics(clips)
    history = History()
    # Sampling is no parameter of training otherwise, so that a checkpoint's folder does not tell it.
    asked = (
        "recorded"
        if original is None
        else key_of({"sampling": asdict(original.sampling), "batch": original.batch})
    )
    sections = [getattr(knobs, name) for name in CLASSIFIERS]
    steps = [section.steps for section in sections]
    for place, (name, kind) in enumerate(CLASSIFIERS.items()):
        section = sections[place]
        network = kind(
            ClassifierConfig(features=len(mean), width=section.width),
            seed=job.seed("classifier", 1000 * place),
        )
        common = job.common("classifier", section, offset=1000 * place)
        common |= {
            "checkpoint": job.checkpoint.with_name(f"{name}-{asked}.pt"),
            "progress": _share(job.progress, steps[:place], sum(steps)),
            "curves": _named(job.curves, history, name),
        }
        trained = train_classifier(network.to(job.device), data, mean=mean, std=std, **common)
        scores = Violence(network, mean.to(job.device), std.to(job.device), 0.5).scores(safe)
        threshold = calibrate(scores, false_alarms=knobs.false_alarms)
        save_network(
            network.cpu(), {"network": asdict(network.config), "threshold": threshold}, job.folder / name
        )
        history.rows += _prefixed(trained.history.rows, name)
    write_json(job.folder / "config.json", {"labels": True, "safe_motions": len(safe)})
    save_statistics(mean, std, job.folder)
    return history


def _training_data(job: Job, clips: Clips, original: Generator | None) -> Labelled:
    """Collect the training clips in all versions, and the safe motions of the original."""
    knobs = job.params.train.classifier
    known = split_of(clips, "train", None)
    coded = [
        tokenizer_with_codes(job, clips, variant)
        for variant in ("full", "retrain")
        if absent_reason(paths.component("tokenizer", variant)) is None
    ]
    rebuilt = [decoded(tokenizer, [codes[i] for i in known.ids]) for tokenizer, codes in coded]
    data = Labelled([list(group) for group in zip(known.features, *rebuilt, strict=True)])
    data.violent = [_labels(clips, i) for i in known.ids]
    if original is None:
        return data
    chosen = some(clips, known.ids, knobs.resampled, original.seed)
    again = original.resampled(chosen, [coded[0][1][i] for i in chosen.ids], 1)
    rows = {clip: row for row, clip in enumerate(known.ids)}
    for clip, motion in zip(chosen.ids, again or [], strict=again is not None):
        data.versions[rows[clip]].append(motion)
    asked = some(clips, read_ids(paths.SPLIT, "train", "retain"), knobs.negatives, original.seed + 1)
    motions = original.answers(asked, 2)
    data.versions += [[motion] for motion in motions]
    data.violent += [np.zeros(len(motion), bool) for motion in motions]
    return data


def _safe_motions(clips: Clips, original: Generator | None, retrain: Generator | None) -> list[np.ndarray]:
    """Motions that a classifier is calibrated on: of D_r for all validation captions, for it never saw the concept.

    Without D_r those of the original for captions of the retain set; without a model the recorded safe clips.
    """
    if retrain is not None:
        found = retrain.answers(split_of(clips, "val", None), 3)
    elif original is not None:
        found = original.answers(split_of(clips, "val", "retrain"), 3)
    else:
        known = split_of(clips, "val", None)
        pairs = zip(known.ids, known.features, strict=True)
        found = [motion for i, motion in pairs if not _labels(clips, i).any()]
    return [np.array(motion, np.float32) for motion in found]


def _labels(clips: Clips, clip_id: str) -> np.ndarray:
    assert clips.actions is not None
    violent = np.array(clips.actions.violent)
    found: np.ndarray = violent[np.array(clips.labels(clip_id))[: clips.frames(clip_id) // UNIT * UNIT]]
    return found


def _share(progress: Progress | None, before: Sequence[int], total: int) -> Progress | None:
    """Count the steps of all trainings of one job together."""
    if progress is None:
        return None
    return lambda done, _: progress(sum(before) + done, total)


def _named(curves: Curves | None, before: History, name: str) -> Curves | None:
    if curves is None:
        return None
    return lambda rows: curves([*before.rows, *_prefixed(rows, name)])


def _prefixed(rows: Sequence[tuple[int, str, float]], name: str) -> list[tuple[int, str, float]]:
    return [(step, f"{name}_{curve}", value) for step, curve, value in rows]
