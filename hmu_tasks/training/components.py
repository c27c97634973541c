"""What each trained component is made of: its data, its network, its schedule, its files."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hmu_tasks import params as settings
from hmu_tasks import paths
from hmu_tasks.data import packed
from hmu_tasks.data.normalisation import emphasise
from hmu_tasks.data.packed import Clips
from hmu_tasks.files import write_json
from hmu_tasks.models import model_class, store, weights
from hmu_tasks.models.bamm_base import BammTransformer
from hmu_tasks.models.classifier import ClassifierConfig, ViolenceClassifier, calibrate, score_clips
from hmu_tasks.models.device import pick_device
from hmu_tasks.models.embeddings import embed_texts
from hmu_tasks.models.evaluator import Evaluator, EvaluatorConfig
from hmu_tasks.models.lengths import UNIT
from hmu_tasks.models.masked import MaskTransformer
from hmu_tasks.models.momask import Tokenizer
from hmu_tasks.models.official.clip import import_clip
from hmu_tasks.models.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.models.text import SmallTextConfig
from hmu_tasks.models.training import History, Progress, Schedule
from hmu_tasks.models.words import HashedWords
from hmu_tasks.sections.training import Training, Transformer
from hmu_tasks.training.batches import ClipSet, clip_set
from hmu_tasks.training.coded import coded_clips
from hmu_tasks.training.contrastive import train_evaluator
from hmu_tasks.training.generator import CodeSet, train_transformer
from hmu_tasks.training.sentences import TextWithMotion, train_text, whiten
from hmu_tasks.training.tokenizer import train_tokenizer
from hmu_tasks.training.violence import rebuilt_clips, train_classifier

MAX_WORDS = (
    40  # caption words that the evaluator reads; longer than the published 20, since clips hold three actions
)


@dataclass(frozen=True)
class Job:
    """One training job: the knobs, the variant, the folder to fill, where its resumable state lies, the progress."""

    params: settings.Params
    variant: str | None
    folder: Path
    checkpoint: Path
    progress: Progress | None

    @property
    def device(self) -> torch.device:
        """Device to train on."""
        return pick_device(self.params.run.device)

    def seed(self, name: str, draw: int = 0) -> int:
        """Seed of a component; both variants of one component start from the same."""
        return self.params.run.seed + sum(name.encode()) + draw

    def common(
        self, name: str, knobs: Training, *, evaluations: int = 10, draw: int = 0, **more: Any
    ) -> dict[str, Any]:
        """Arguments that every trainer takes."""
        schedule = Schedule(
            steps=knobs.steps,
            batch=knobs.batch,
            rate=knobs.rate,
            evaluate_every=max(knobs.steps // evaluations, 1),
            **more,
        )
        return {
            "schedule": schedule,
            "seed": self.seed(name, draw),
            "device": self.device,
            "checkpoint": self.checkpoint,
            "progress": self.progress,
        }


def _split(clips: Clips, split: str, variant: str | None) -> ClipSet:
    if variant == "retain":
        ids = (paths.SPLIT / f"{split}-retain.txt").read_text(encoding="utf-8").split("\n")[:-1]
    else:
        ids = clips.ids(split)
    return clip_set(clips, ids)


def _statistics(clips: Clips, bias: float = 1.0) -> tuple[Tensor, Tensor]:
    """Mean and std as float32 tensors; root and contact dimensions weigh `bias` times more."""
    std = emphasise(np.maximum(np.array(clips.std, np.float32), 1e-4), feature_bias=bias)
    return torch.from_numpy(np.array(clips.mean, np.float32)), torch.from_numpy(std)


def text(job: Job) -> History:
    """The text encoder: trained against the original tokenizer's latents (small), or copied from a folder (CLIP)."""
    knobs = job.params.train.text
    if knobs.encoder == "clip":
        import_clip(knobs.clip_folder, job.folder)
        return History()
    clips = packed.load(paths.CLIPS)
    coder, codes = _coded(job, clips, "full")
    train, val = (_split(clips, split, None) for split in ("train", "val"))
    pair = TextWithMotion(
        SmallTextConfig(width=knobs.width, word_width=knobs.word_width),
        code_width=coder.codebooks.shape[2],
        hidden=knobs.motion_hidden,
        width=knobs.width,
        seed=job.seed("text"),
    )
    trained = train_text(
        pair.to(job.device),
        train,
        coder.latents([codes[i] for i in train.ids]),
        val,
        coder.latents([codes[i] for i in val.ids]),
        **job.common("text", knobs),
    )
    whiten(pair.text, [caption.text for row in train.captions for caption in row[:1]])
    store.save_network(pair.text.cpu(), pair.text.describe(), job.folder)
    return trained.history


def _evaluator_config(params: settings.Params, features: int) -> EvaluatorConfig:
    knobs = params.train.evaluator
    return EvaluatorConfig(
        features=features,
        movement_width=knobs.movement_width,
        motion_hidden=knobs.motion_hidden,
        text_hidden=knobs.text_hidden,
        width=knobs.width,
    )


def evaluator(job: Job) -> History:
    """The text-motion evaluator that all figures rest on."""
    clips = packed.load(paths.CLIPS)
    mean, std = _statistics(clips)
    network = Evaluator(_evaluator_config(job.params, len(mean)), seed=job.seed("evaluator"))
    trained = train_evaluator(
        network.to(job.device),
        HashedWords(network.config.word_width),
        _split(clips, "train", None),
        _split(clips, "val", None),
        mean=mean,
        std=std,
        max_words=MAX_WORDS,
        **job.common("evaluator", job.params.train.evaluator),
    )
    store.save_network(network.cpu(), {**asdict(network.config), "max_words": MAX_WORDS}, job.folder)
    store.save_statistics(mean, std, job.folder)
    return trained.history


def tokenizer(job: Job) -> History:
    """The RVQ-VAE of one variant."""
    knobs = job.params.train.tokenizer
    clips = packed.load(paths.CLIPS)
    mean, std = _statistics(clips, knobs.feature_bias)
    local = clips.layout.local_positions
    config = TokenizerConfig(
        features=len(mean),
        positions_start=local.start,
        positions_stop=local.stop,
        width=knobs.width,
        code_width=knobs.code_width,
        codes=knobs.codes,
        quantizers=knobs.quantizers,
        depth=knobs.depth,
        dropout=knobs.dropout,
        sample_temperature=knobs.sample_temperature,
        positions_weight=knobs.positions_weight,
    )
    network = RVQVAE(config, seed=job.seed("tokenizer", knobs.seed))
    trained = train_tokenizer(
        network.to(job.device),
        _split(clips, "train", job.variant),
        _split(clips, "val", job.variant),
        mean=mean,
        std=std,
        window=knobs.window,
        **job.common("tokenizer", knobs, draw=knobs.seed),
    )
    store.save_network(network.cpu(), asdict(config), job.folder)
    store.save_statistics(mean, std, job.folder)
    return trained.history


def _coded(job: Job, clips: Clips, variant: str | None) -> tuple[Tokenizer, dict[str, np.ndarray]]:
    """Return the tokenizer of a variant, and the codes of all training and validation clips under it."""
    folder = paths.component("tokenizer", variant)
    tokenizer = store.load_tokenizer(folder, job.device)
    return tokenizer, coded_clips(clips, tokenizer, digest=weights.digest(folder), cache=paths.CACHE)


def _code_sets(job: Job) -> tuple[CodeSet, CodeSet, int]:
    """Encode the variant's clips with the variant's tokenizer; returns training and validation codes, text width."""
    clips = packed.load(paths.CLIPS)
    encoder = store.load_text(paths.component("text"), job.device)
    _, codes = _coded(job, clips, job.variant)
    sets = [_split(clips, split, job.variant) for split in ("train", "val")]
    texts = [c.text for s in sets for row in s.captions for c in row]
    vectors = embed_texts(encoder, texts, cache=paths.CACHE, digest=weights.digest(paths.component("text")))
    train, val = (
        CodeSet([codes[i] for i in s.ids], [[c.text for c in row] for row in s.captions], vectors)
        for s in sets
    )
    return train, val, encoder.width


def base_momask(job: Job) -> History:
    """MoMask's masked transformer of one variant."""
    return _base(job, "momask", job.params.train.base.momask)


def base_bamm(job: Job) -> History:
    """BAMM's bidirectional autoregressive transformer of one variant."""
    return _base(job, "bamm", job.params.train.base.bamm)


def _base(job: Job, model: str, knobs: Transformer) -> History:
    kind = model_class(model)
    train, val, width = _code_sets(job)
    tokens = job.params.train.tokenizer
    config = kind.config(
        codes=tokens.codes,
        code_width=tokens.code_width,
        text_width=width,
        latent=knobs.latent,
        layers=knobs.layers,
        heads=knobs.heads,
        feedforward=knobs.feedforward,
        dropout=knobs.dropout,
        condition_drop=knobs.condition_drop,
    )
    network: MaskTransformer | BammTransformer = kind.network(config, seed=job.seed("base"))
    trained = train_transformer(
        network.to(job.device),
        lambda codes, text, lengths, generator: network.training_loss(
            codes[..., 0], text, lengths, generator
        ),
        train,
        val,
        padding=network.pad_id,
        **job.common("base", knobs),
    )
    store.save_network(network.cpu(), asdict(config), job.folder)
    return trained.history


def residual(job: Job) -> History:
    """The residual transformer of one variant."""
    knobs = job.params.train.residual
    train, val, width = _code_sets(job)
    tokens = job.params.train.tokenizer
    config = ResidualTransformerConfig(
        codes=tokens.codes,
        code_width=tokens.code_width,
        quantizers=tokens.quantizers,
        text_width=width,
        latent=knobs.latent,
        layers=knobs.layers,
        heads=knobs.heads,
        feedforward=knobs.feedforward,
        dropout=knobs.dropout,
        condition_drop=knobs.condition_drop,
    )
    network = ResidualTransformer(config, seed=job.seed("residual"))
    trained = train_transformer(
        network.to(job.device),
        network.training_loss,
        train,
        val,
        padding=network.pad_id,
        **job.common("residual", knobs),
    )
    store.save_network(network.cpu(), asdict(config), job.folder)
    return trained.history


def classifier(job: Job) -> History:
    """The violence classifier, calibrated on the validation split; only for datasets with action labels."""
    clips = packed.load(paths.CLIPS)
    if clips.actions is None:
        write_json(job.folder / "config.json", {"labels": False})
        return History()
    knobs = job.params.train.classifier
    mean, std = _statistics(clips)
    device = job.device
    coded = [
        _coded(job, clips, variant)
        for variant in ("full", "retain")
        if store.absent_reason(paths.component("tokenizer", variant)) is None
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
    train, val = _split(clips, "train", None), _split(clips, "val", None)
    trained = train_classifier(
        network, versions(train), labels["train"], mean=mean, std=std, **job.common("classifier", knobs)
    )
    safe = [group[:2] for group, frames in zip(versions(val), labels["val"], strict=True) if not frames.any()]
    real_and_rebuilt = [np.array(motion, np.float32) for group in safe for motion in group]
    scores = score_clips(network, real_and_rebuilt, mean.to(device), std.to(device))
    threshold = calibrate(scores, false_positive_rate=0.015)
    store.save_network(
        network.cpu(), {"labels": True, "network": asdict(network.config), "threshold": threshold}, job.folder
    )
    store.save_statistics(mean, std, job.folder)
    return trained.history
