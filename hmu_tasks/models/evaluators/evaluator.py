"""The text-motion evaluator: text and motion in one embedding space.

Guo et al. 2022, "Generating Diverse and Natural 3D Human Motions from Text": its text and motion feature extractors.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from hmu_tasks.models.networks.components import (
    build_config,
    build_network,
    config_entry,
    load_config,
    load_statistics,
    load_weights,
)
from hmu_tasks.models.networks.device import full_precision
from hmu_tasks.models.networks.layers import inside_mask, seeded
from hmu_tasks.models.networks.recurrent import read_both_ways
from hmu_tasks.runtime.bundle_files import check_part
from hmu_tasks.runtime.errors import DataError


@dataclass(frozen=True)
class EvaluatorConfig:
    """Sizes; the defaults are the published ones.

    movement_width: of the convolutional features per token. drop_last: trailing features that are not read
    (foot contacts). max_frames: the longest motion, to which the published evaluator pads.
    """

    features: int = 263
    drop_last: int = 4
    movement_width: int = 512
    motion_hidden: int = 1024
    text_hidden: int = 512
    width: int = 512
    word_width: int = 300
    pos_width: int = 15
    max_frames: int = 196


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv1d):
        nn.init.xavier_normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _recurrent_output(hidden: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(2 * hidden, hidden), nn.LayerNorm(hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, width)
    )


class MovementConvEncoder(nn.Module):
    """Four frames to one movement vector, by two strided convolutions."""

    def __init__(self, features: int, hidden: int, width: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv1d(features, hidden, 4, stride=2, padding=1),
            nn.Dropout(0.2),
            nn.LeakyReLU(0.2),
            nn.Conv1d(hidden, width, 4, stride=2, padding=1),
            nn.Dropout(0.2),
            nn.LeakyReLU(0.2),
        )
        self.out_net = nn.Linear(width, width)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """x: [B, F, features] -> [B, F // 4, width]."""
        out: Tensor = self.out_net(self.main(x.transpose(1, 2)).transpose(1, 2))
        return out


class _BiGRU(nn.Module):
    """A bidirectional GRU over padded sequences whose two last states become one embedding."""

    def __init__(self, inputs: int, hidden: int, width: int) -> None:
        super().__init__()
        self.input_emb = nn.Linear(inputs, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.output_net = _recurrent_output(hidden, width)
        self.hidden = nn.Parameter(torch.randn(2, 1, hidden))
        self.input_emb.apply(_initialise)
        self.output_net.apply(_initialise)

    def _read(self, x: Tensor, lengths: Tensor) -> Tensor:
        _, last = read_both_ways(self.gru, self.input_emb(x), lengths.cpu(), self.hidden.repeat(1, len(x), 1))
        out: Tensor = self.output_net(torch.cat([last[0], last[1]], dim=-1))
        return out


class MotionEncoderBiGRU(_BiGRU):
    """Movement vectors to one motion embedding."""

    def forward(self, movements: Tensor, lengths: Tensor) -> Tensor:
        """movements: [B, T, movement width], lengths: [B] tokens -> [B, width], in input order."""
        return self._read(movements, lengths)


class TextEncoderBiGRU(_BiGRU):
    """Word vectors and part-of-speech classes to one text embedding."""

    def __init__(self, word_width: int, pos_width: int, hidden: int, width: int) -> None:
        super().__init__(word_width, hidden, width)
        self.pos_emb = nn.Linear(pos_width, word_width)
        self.pos_emb.apply(_initialise)

    def forward(self, words: Tensor, pos: Tensor, lengths: Tensor) -> Tensor:
        """words: [B, L, word width], pos: [B, L, classes] one-hot, lengths: [B] -> [B, width]."""
        return self._read(words + self.pos_emb(pos), lengths)


class Evaluator(nn.Module):
    """The three encoders together; the sub-modules' state dicts are the three of the published checkpoint."""

    def __init__(self, config: EvaluatorConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        width = config.movement_width
        with seeded(seed):
            self.movement_encoder = MovementConvEncoder(config.features - config.drop_last, width, width)
            self.motion_encoder = MotionEncoderBiGRU(width, config.motion_hidden, config.width)
            self.text_encoder = TextEncoderBiGRU(
                config.word_width, config.pos_width, config.text_hidden, config.width
            )

    def embed_motion(self, features: Tensor, lengths: Tensor, *, zero_padding: bool = True) -> Tensor:
        """Embed motions; the result does not depend on how far the batch is padded.

        features: [B, F, D] normalised with the evaluator's statistics. lengths: [B] frames, 4 to max_frames.
        zero_padding: set frames after the length to zero first. The released code does not, so that padding
        leaks into the last tokens through the convolutions: zeros for real motions, arbitrary values for
        generated ones. False reproduces that. Returns [B, width] in input order. Raises DataError for a
        length out of range.
        """
        lengths = lengths.to(features.device)
        longest = int(lengths.max())
        if longest > min(self.config.max_frames, features.shape[1]) or int(lengths.min()) < 4:
            raise DataError(
                f"evaluator motions must have 4 to {min(self.config.max_frames, features.shape[1])} frames, "
                f"got {int(lengths.min())} to {longest}"
            )
        x = features[..., : self.config.features - self.config.drop_last]
        # The last token reads up to three frames past its own four. Beyond those, padding changes nothing, so
        # that no more than four frames of it are computed; the published evaluator always pads to max_frames.
        frames = min(longest + 4, self.config.max_frames)
        x = functional.pad(x[:, :frames], (0, 0, 0, max(0, frames - x.shape[1])))
        if zero_padding:
            x = x * inside_mask(lengths, frames)[..., None]
        out: Tensor = self.motion_encoder(self.movement_encoder(x), lengths // 4)
        return out

    def embed_text(self, words: Tensor, pos: Tensor, lengths: Tensor) -> Tensor:
        """Embed captions; words [B, L, word width], pos [B, L, classes], lengths [B] words -> [B, width]."""
        out: Tensor = self.text_encoder(words, pos, lengths)
        return out


def contrastive_loss(
    text: Tensor,
    motion: Tensor,
    *,
    kind: Literal["infonce", "margin"] = "infonce",
    temperature: float = 1.0,
    margin: float = 10.0,
    groups: Tensor | None = None,
) -> Tensor:
    """Pull matching rows of text and motion embeddings [B, E] together and push the others apart.

    infonce: symmetric cross-entropy over -distance² / temperature (van den Oord et al. 2018, equation 4);
        Euclidean, since the metrics compare embeddings by Euclidean distance.
    margin: the published loss, d² for pairs and max(0, margin - d)² for others (Guo et al. 2022; Hadsell et al.
        2006, equation 4); the mean over all other pairs instead of one random shift of the batch.
    groups: [B] numbers; other rows of the same number (such as the same caption) are not negatives in infonce.
    """
    # Full precision: the differences of large squares below would drown in bfloat16 or TF32.
    with torch.autocast(text.device.type, enabled=False), full_precision():
        text, motion = text.float(), motion.float()
        # |a - b|² without the square root of cdist, whose gradient is undefined where a = b
        squared = text.square().sum(1)[:, None] + motion.square().sum(1)[None] - 2.0 * text @ motion.T
    others = ~torch.eye(len(text), dtype=torch.bool, device=text.device)
    if kind == "margin":
        far = squared[others].clamp(min=1e-12).sqrt()
        return 0.5 * (squared.diagonal().mean() + (margin - far).clamp(min=0).square().mean())
    scores = -squared / temperature
    if groups is not None:
        scores = scores.masked_fill((groups[:, None] == groups[None]) & others, -torch.inf)
    target = torch.arange(len(text), device=text.device)
    return 0.5 * (functional.cross_entropy(scores, target) + functional.cross_entropy(scores.T, target))


def load_evaluator(folder: Path, device: torch.device) -> tuple[Evaluator, Tensor, Tensor, int]:
    """Read the evaluator, its statistics, and how many caption words it reads."""
    check_part(folder)
    config = load_config(folder)
    max_words = int(config_entry(config, "max_words", folder))
    del config["max_words"]
    config.pop("words", None)
    sizes = build_config(EvaluatorConfig, config, folder)
    evaluator = load_weights(build_network(Evaluator, sizes, folder), folder, device)
    return evaluator, *load_statistics(folder, device), max_words
