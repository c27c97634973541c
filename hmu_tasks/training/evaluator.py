"""Contrastive training of the evaluator: captions against motions."""

from dataclasses import asdict
from typing import Unpack

import numpy as np
import torch
from torch import Tensor, nn

from hmu_tasks.data.clips import packed
from hmu_tasks.models.evaluators.evaluator import Evaluator, EvaluatorConfig, contrastive_loss
from hmu_tasks.models.evaluators.words import UNKNOWN, HashedWords, embed_tokens
from hmu_tasks.models.networks.components import save_network, save_statistics
from hmu_tasks.runtime import paths
from hmu_tasks.training.loop.batches import CaptionWords, ClipSet
from hmu_tasks.training.loop.fit import FitOptions, Trained, fit
from hmu_tasks.training.loop.history import History, Values
from hmu_tasks.training.loop.job import Job, split_of, statistics

MAX_WORDS = 40  # of a caption; the published evaluator reads 20, but clips here hold up to three actions
WORD_DROP = 0.05  # share of words replaced by `unk`, so that masked captions (MM-Safe) are in distribution


def drop_words(captions: list[CaptionWords], generator: torch.Generator) -> list[list[str]]:
    """Replace the share WORD_DROP of the words by `unk`; returns the tokens of each caption."""
    return [
        [
            f"{UNKNOWN}/OTHER" if number < WORD_DROP else token
            for token, number in zip(
                c.tokens, torch.rand(len(c.tokens), generator=generator).tolist(), strict=True
            )
        ]
        for c in captions
    ]


class TokenTower(nn.Module):
    """The evaluator's text side: captions as word vectors with part-of-speech classes."""

    def __init__(self, evaluator: Evaluator, words: HashedWords, max_words: int) -> None:
        super().__init__()
        self.evaluator, self.words, self.max_words = evaluator, words, max_words

    def embed(self, tokens: list[list[str]]) -> Tensor:
        """tokens: B lists of `word/POS` -> [B, E]."""
        vectors, classes, lengths = embed_tokens(tokens, self.words, max_words=self.max_words)
        device = next(self.evaluator.parameters()).device
        return self.evaluator.embed_text(
            torch.from_numpy(vectors).to(device),
            torch.from_numpy(classes).to(device),
            torch.from_numpy(lengths),
        )


def train_evaluator(
    evaluator: Evaluator,
    words: HashedWords,
    train: ClipSet,
    val: ClipSet,
    *,
    mean: Tensor,
    std: Tensor,
    max_words: int,
    **options: Unpack[FitOptions],
) -> Trained:
    """Train the three encoders together (Guo et al. 2022) with a symmetric InfoNCE loss."""
    device, batch = options["device"], options["schedule"].batch
    tower = TokenTower(evaluator, words, max_words)

    def pair_loss(clips: ClipSet, rows: np.ndarray, generator: torch.Generator, *, training: bool) -> Tensor:
        features, lengths = clips.padded(rows, mean, std)
        captions = clips.sample_captions(rows, generator)
        tokens = drop_words(captions, generator) if training else [c.tokens for c in captions]
        return contrastive_loss(tower.embed(tokens), evaluator.embed_motion(features.to(device), lengths))

    def loss_of(rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Values]:
        loss = pair_loss(train, rows, generator, training=True)
        return loss, {"loss": loss}

    def validate() -> float:
        generator = torch.Generator().manual_seed(options["seed"])
        order = torch.randperm(len(val.ids), generator=generator).numpy()
        groups = [order[i : i + batch] for i in range(0, len(order), batch)]
        losses = [pair_loss(val, g, generator, training=False).item() for g in groups if len(g) > 1]
        return float(np.mean(losses)) if losses else 0.0

    # Batches mix lengths on purpose: sorted by length, pairs could not be matched by length, an easy cue.
    unsorted = np.zeros(len(train.ids))
    return fit(
        evaluator,
        loss_of,
        unsorted,
        validate=validate,
        mixed=False,
        **options,
    )


def train(job: Job) -> History:
    """Train the text-motion evaluator on all clips; every retrieval metric and FID depends on it."""
    clips = packed.load(paths.CLIPS)
    mean, std = statistics(clips)
    knobs = job.params.train.evaluator
    config = EvaluatorConfig(
        features=len(mean),
        movement_width=knobs.movement_width,
        motion_hidden=knobs.motion_hidden,
        text_hidden=knobs.text_hidden,
        width=knobs.width,
    )
    network = Evaluator(config, seed=job.seed("evaluator"))
    trained = train_evaluator(
        network.to(job.device),
        HashedWords(network.config.word_width),
        split_of(clips, "train", None),
        split_of(clips, "val", None),
        mean=mean,
        std=std,
        max_words=MAX_WORDS,
        **job.common("evaluator", knobs),
    )
    save_network(network.cpu(), {**asdict(network.config), "max_words": MAX_WORDS}, job.folder)
    save_statistics(mean, std, job.folder)
    return trained.history
