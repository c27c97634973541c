"""Contrastive training of the small text encoder: captions against motions in the tokenizer's latent space."""

from collections.abc import Sequence
from typing import Unpack

import numpy as np
import torch
from torch import Tensor, nn

from hmu_tasks.data.clips import packed
from hmu_tasks.models.evaluators.evaluator import MotionEncoderBiGRU, contrastive_loss
from hmu_tasks.models.networks.components import save_network
from hmu_tasks.models.networks.layers import seeded
from hmu_tasks.models.official.clip import import_clip
from hmu_tasks.models.official.minilm import import_minilm
from hmu_tasks.models.text.encoders import WITH_MINILM, SmallTextConfig, SmallTextEncoder
from hmu_tasks.models.text.minilm import PrincipalDirections, SentenceEncoder
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.training.loop.batches import ClipSet
from hmu_tasks.training.loop.coded import tokenizer_with_codes
from hmu_tasks.training.loop.fit import FitOptions, Trained, fit
from hmu_tasks.training.loop.history import History, Values
from hmu_tasks.training.loop.job import Job, split_of


class TextWithMotion(nn.Module):
    """The text encoder with its projection, and a motion encoder over quantised latents that it is matched with."""

    def __init__(
        self, config: SmallTextConfig, *, code_width: int, hidden: int, width: int, seed: int
    ) -> None:
        super().__init__()
        self.text = SmallTextEncoder(config, seed=seed)
        with seeded(seed + 1):
            self.project = nn.Linear(config.width, width)
            self.motion = MotionEncoderBiGRU(code_width, hidden, width)


def train_text(
    pair: TextWithMotion,
    train: ClipSet,
    train_latents: Sequence[np.ndarray],
    val: ClipSet,
    val_latents: Sequence[np.ndarray],
    **options: Unpack[FitOptions],
) -> Trained:
    """Train the text encoder as CLIP was trained, with motions in the place of pictures.

    train_latents, val_latents: quantised latents [T_i, C] of the clips. The motion side is thrown away afterwards,
    and the text encoder stays frozen and serves all models, the original's and D_r's alike, as CLIP does at full
    size: it knows the words of the concept, no model's motion. The evaluator shares no weight with it.
    """
    device, batch = options["device"], options["schedule"].batch

    def loss_on(
        clips: ClipSet, latents: Sequence[np.ndarray], rows: np.ndarray, generator: torch.Generator
    ) -> Tensor:
        chosen = [torch.from_numpy(latents[i]) for i in rows]
        lengths = torch.tensor([len(c) for c in chosen])
        padded = nn.utils.rnn.pad_sequence(chosen, batch_first=True).to(device)
        texts = [caption.text for caption in clips.sample_captions(rows, generator)]
        return contrastive_loss(pair.project(pair.text(texts)), pair.motion(padded, lengths))

    def loss_of(rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Values]:
        loss = loss_on(train, train_latents, rows, generator)
        return loss, {"loss": loss}

    def validate() -> float:
        generator = torch.Generator().manual_seed(options["seed"])
        order = torch.randperm(len(val.ids), generator=generator).numpy()
        groups = [order[s : s + batch] for s in range(0, len(order), batch)]
        return float(np.mean([loss_on(val, val_latents, g, generator).item() for g in groups]))

    # Lengths stay mixed in a batch, as in training of the evaluator.
    return fit(
        pair,
        loss_of,
        np.zeros(len(train.ids)),
        validate=validate,
        mixed=False,
        **options,
    )


@torch.no_grad()
def whiten(
    encoder: SmallTextEncoder, texts: Sequence[str], *, shrinkage: float = 0.05, length: float = 10.0
) -> None:
    """Give the sentence vectors of `texts` nearly equal variance in all directions, by the encoder's last linear layer.

    Contrastive training leaves most of the variance in a dozen directions, and a transformer that reads a sentence
    through one small projection learns those long before the rest (Su et al. 2021, "Whitening Sentence
    Representations", algorithm 1). shrinkage: this share of the mean variance is added to every direction's, so that
    empty directions are not blown up. length: mean length of the vectors afterwards, about that of CLIP's.
    """
    vectors = torch.stack([rows[0] for rows in encoder.encode(texts)]).double()
    mean = vectors.mean(0)
    variance, directions = torch.linalg.eigh((vectors - mean).T @ (vectors - mean) / len(vectors))
    spread = (variance.clamp(min=0.0) + shrinkage * variance.mean()).rsqrt()
    whitening = (directions * spread) @ directions.T
    whitening *= length / ((vectors - mean) @ whitening).norm(dim=1).mean()
    weight, bias = encoder.out.weight.double(), encoder.out.bias.double()
    encoder.out.weight.copy_(whitening @ weight)
    encoder.out.bias.copy_(whitening @ (bias - mean))


def train(job: Job) -> History:
    """Train the small text encoder against the original tokenizer's latents, or copy CLIP from its folder.

    Beside the small encoder, with `small+minilm`, stand the principal directions of a frozen one's vectors of the
    training captions. Raises WeightsError where its files cannot be used, DataError where the captions are too few.
    """
    knobs = job.params.train.text
    if knobs.encoder == "clip":
        import_clip(knobs.clip_folder, job.folder)
        return History()
    beside = knobs.encoder == WITH_MINILM
    frozen = import_minilm(knobs.minilm_folder, knobs.minilm_sha256, job.folder) if beside else None
    clips = packed.load(paths.CLIPS)
    train, val = (split_of(clips, split, None) for split in ("train", "val"))
    captions = [caption.text for row in train.captions for caption in row[:1]]
    more: dict[str, str] = {}
    if frozen is not None:
        _main_directions(frozen, captions, knobs.minilm_directions).save(job.folder)
        more = {"encoder": WITH_MINILM, "minilm_sha256": knobs.minilm_sha256}
    coder, codes = tokenizer_with_codes(job, clips, "full")
    pair = TextWithMotion(
        SmallTextConfig(width=knobs.width, words=knobs.words, word_width=knobs.word_width),
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
    whiten(pair.text, captions)
    save_network(pair.text.cpu(), pair.text.describe() | more, job.folder)
    return trained.history


def _main_directions(frozen: SentenceEncoder, captions: Sequence[str], count: int) -> PrincipalDirections:
    try:
        return PrincipalDirections.of(frozen.vectors(captions), count)
    except ValueError as error:
        raise DataError(
            f"train.text.minilm_directions is {count}: {error}, those of the training clips' first captions; lower "
            "it, or set train.text.encoder to 'small'"
        ) from error
