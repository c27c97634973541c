"""Training of the violence classifier on real motions and on their reconstructions."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Unpack

import numpy as np
import torch
from torch import Tensor

from hmu_tasks.data.clips import packed
from hmu_tasks.models.evaluators.classifier import (
    ClassifierConfig,
    ViolenceClassifier,
    calibrate,
    score_clips,
)
from hmu_tasks.models.networks.components import absent_reason, save_network, save_statistics
from hmu_tasks.models.networks.lengths import UNIT
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.files import write_json
from hmu_tasks.training.loop.batches import ClipSet
from hmu_tasks.training.loop.coded import tokenizer_with_codes
from hmu_tasks.training.loop.fit import FitOptions, History, Trained, fit
from hmu_tasks.training.loop.job import Job, split_of, statistics

CHUNK = 512  # clips that are decoded at once
FALSE_POSITIVES = 0.015  # rate on safe validation motions that the threshold is calibrated to


def rebuilt_clips(tokenizer: Tokenizer, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Decode the codes [T_i, Q] of N clips: N float16 arrays [4 T_i, D].

    All reconstructions of a dataset are in memory at once; half precision is far finer than their reconstruction error.
    """
    order = np.argsort([len(clip) for clip in codes], kind="stable")
    found: list[np.ndarray] = [np.empty(0)] * len(codes)
    for start in range(0, len(order), CHUNK):
        rows = order[start : start + CHUNK]
        for i, motion in zip(rows, tokenizer.decode([codes[i] for i in rows]), strict=True):
            found[i] = motion.astype(np.float16)
    return found


def train_classifier(
    network: ViolenceClassifier,
    versions: Sequence[Sequence[np.ndarray]],
    violent: Sequence[np.ndarray],
    *,
    mean: Tensor,
    std: Tensor,
    **options: Unpack[FitOptions],
) -> Trained:
    """Train the classifier on per-frame labels.

    versions: for each clip its versions (the real one, then reconstructions), raw features [F_i, D]; one is sampled
        per step, with noise and slight smoothing, so that high-frequency texture does not identify the version.
    violent: for each clip its frame labels [F_i], 0 or 1.
    """
    device = options["device"]
    lengths = np.array([len(v[0]) for v in versions])

    def loss_of(rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        features = torch.zeros(len(rows), int(lengths[rows].max()), len(mean))
        target = torch.zeros(features.shape[:2])
        inside = torch.zeros(features.shape[:2])
        chosen = torch.rand(len(rows), generator=generator).tolist()
        for b, (i, share) in enumerate(zip(rows, chosen, strict=True)):
            clip = versions[i][int(share * len(versions[i]))]
            features[b, : len(clip)] = (torch.from_numpy(np.array(clip, np.float32)) - mean) / std
            target[b, : len(clip)] = torch.from_numpy(violent[i][: len(clip)].astype(np.float32))
            inside[b, : len(clip)] = 1.0
        features += 0.1 * torch.randn(features.shape, generator=generator)
        loss = network.loss(features.to(device), target.to(device), inside.to(device))
        return loss, {"loss": loss.item()}

    return fit(
        network,
        loss_of,
        lengths,
        **options,
    )


def train(job: Job) -> History:
    """Train and calibrate the classifier; where a dataset has no action labels, config.json records that.

    It sees every clip as recorded and as rebuilt by both tokenizers, so that it does not learn decoding artefacts.
    """
    clips = packed.load(paths.CLIPS)
    if clips.actions is None:
        write_json(job.folder / "config.json", {"labels": False})
        return History()
    knobs = job.params.train.classifier
    mean, std = statistics(clips)
    device = job.device
    coded = [
        tokenizer_with_codes(job, clips, variant)
        for variant in ("full", "retrain")
        if absent_reason(paths.component("tokenizer", variant)) is None
    ]

    def versions(part: ClipSet) -> list[list[np.ndarray]]:
        rebuilt = [rebuilt_clips(coder, [codes[i] for i in part.ids]) for coder, codes in coded]
        return [list(group) for group in zip(part.features, *rebuilt, strict=True)]

    violent_action = np.array(clips.actions.violent)
    labels = {
        split: [
            violent_action[np.array(clips.labels(i))[: clips.frames(i) // UNIT * UNIT]]
            for i in clips.ids(split)
        ]
        for split in ("train", "val")
    }
    network = ViolenceClassifier(
        ClassifierConfig(features=len(mean), width=knobs.width), seed=job.seed("classifier")
    ).to(device)
    train, val = split_of(clips, "train", None), split_of(clips, "val", None)
    trained = train_classifier(
        network, versions(train), labels["train"], mean=mean, std=std, **job.common("classifier", knobs)
    )
    safe = [group[:2] for group, frames in zip(versions(val), labels["val"], strict=True) if not frames.any()]
    real_and_rebuilt = [np.array(motion, np.float32) for group in safe for motion in group]
    scores = score_clips(network, real_and_rebuilt, mean.to(device), std.to(device))
    threshold = calibrate(scores, false_positive_rate=FALSE_POSITIVES)
    save_network(
        network.cpu(), {"labels": True, "network": asdict(network.config), "threshold": threshold}, job.folder
    )
    save_statistics(mean, std, job.folder)
    return trained.history
