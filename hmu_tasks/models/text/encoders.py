"""Text encoders: a small one that is trained here, alone or beside a frozen sentence encoder, and CLIP from a folder.

A text is embedded as rows [1 + n, W]: its sentence vector, then the states of its words, where the encoder gives any.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from hmu_tasks.models.networks.components import build_config, build_network, load_config, load_weights
from hmu_tasks.models.networks.layers import seeded
from hmu_tasks.models.networks.memory import Batches
from hmu_tasks.models.networks.recurrent import read_both_ways
from hmu_tasks.models.text import minilm
from hmu_tasks.models.text.minilm import PrincipalDirections, SentenceEncoder, read_sentence_encoder
from hmu_tasks.runtime.errors import WeightsError

WORD = re.compile(r"[a-z0-9']+")
WITH_MINILM = "small+minilm"


class TextEncoder(Protocol):
    """Captions in, embedded texts out.

    width: of a row. words: the most word states of a text; 0 where there is the sentence vector alone.
    """

    width: int
    words: int

    @property
    def most_words(self) -> int | None:
        """The most English words of a text that are read; None where every script is, in pieces of words."""
        ...

    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        """Return the rows [1 + n, width] of each text, n at most `words`."""
        ...


@dataclass(frozen=True)
class SmallTextConfig:
    """Sizes of the small encoder: sentence width, word width, hash buckets, longest caption in words.

    words: the most words whose states are given beside the sentence vector, the first of a caption.
    """

    width: int = 256
    words: int = 0
    word_width: int = 128
    buckets: int = 8192
    max_words: int = 48
    dropout: float = 0.1


def word_pieces(word: str, buckets: int) -> list[int]:
    """Hash a word and its character 3- to 5-grams into bucket numbers (Bojanowski et al. 2017, section 3.2).

    An unseen or misspelt word shares most pieces with the words it resembles. Bucket 0 is padding.
    """
    marked = f"<{word}>"
    pieces = [marked] + [marked[i : i + n] for n in (3, 4, 5) for i in range(len(marked) - n + 1)]
    return [1 + zlib.crc32(piece.encode()) % (buckets - 1) for piece in pieces]


# Brings the GRU's states, of entries between -1 and 1, to about the length of a whitened sentence vector.
WORD_SCALE = 4.0


class SmallTextEncoder(nn.Module):
    """Subword hashing, a bidirectional GRU and masked max and mean pooling to one sentence vector.

    The states of the words are the GRU's, before the pooling.
    """

    def __init__(self, config: SmallTextConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.width, self.words = config.width, config.words
        self.most_words = config.max_words
        with seeded(seed):
            self.pieces = nn.EmbeddingBag(config.buckets, config.word_width, mode="mean", padding_idx=0)
            self.gru = nn.GRU(config.word_width, config.width // 2, batch_first=True, bidirectional=True)
            self.norm = nn.LayerNorm(2 * config.width)
            self.out = nn.Linear(2 * config.width, config.width)
        self.drop = nn.Dropout(config.dropout)
        self._known: dict[str, list[int]] = {}

    def _ids(self, word: str) -> list[int]:
        if word not in self._known:
            self._known[word] = word_pieces(word, self.config.buckets)
        return self._known[word]

    def forward(self, texts: Sequence[str]) -> Tensor:
        """texts: B captions -> sentence vectors [B, width]."""
        return self._read(texts)[0]

    def _read(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Sentence vectors [B, width], states [B, T, width], and numbers of words [B], on the CPU."""
        words = [WORD.findall(text.lower())[: self.config.max_words] or ["<empty>"] for text in texts]
        flat = [self._ids(word) for sentence in words for word in sentence]
        device = self.out.weight.device
        ids = torch.tensor([i for pieces in flat for i in pieces], device=device)
        ends = torch.tensor([0, *(len(pieces) for pieces in flat[:-1])], device=device).cumsum(0)
        vectors = self.drop(self.pieces(ids, ends))
        lengths = torch.tensor([len(sentence) for sentence in words])
        inside = (torch.arange(int(lengths.max()))[None] < lengths[:, None]).to(device)[..., None]
        # Not pad_sequence: it writes row by row, and the gradient of each such write copies the whole batch.
        padded = vectors.new_zeros(*inside.shape[:2], vectors.shape[1]).masked_scatter(inside, vectors)
        hidden, _ = read_both_ways(self.gru, padded, lengths)
        highest = hidden.masked_fill(~inside, -torch.inf).amax(1)
        mean = (hidden * inside).sum(1) / lengths.to(device)[:, None]
        pooled: Tensor = self.out(self.norm(torch.cat([highest, mean], dim=-1)))
        return pooled, hidden, lengths

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        """Return the rows [1 + n, width] of each text, without gradients or dropout."""
        assert not self.training

        def embedded(chosen: Sequence[int]) -> list[Tensor]:
            sentences, states, lengths = self._read([texts[i] for i in chosen])
            rows = torch.cat([sentences[:, None], WORD_SCALE * states[:, : self.words]], dim=1)
            return [row[: 1 + n].clone() for row, n in zip(rows, lengths.tolist(), strict=True)]

        batches = Batches(256, what="texts").over(range(len(texts)), embedded)
        return [row for _, found in batches for row in found]

    def describe(self) -> dict[str, Any]:
        """Return this encoder's entries for config.json."""
        return {"encoder": "small", **asdict(self.config)}


class SmallWithMinilm(nn.Module):
    """The small encoder, and beside its sentence vector that of a frozen sentence encoder along its main directions.

    Rows have the small encoder's columns first, then those of `principal`, in which the states of words are zero.
    """

    def __init__(
        self, small: SmallTextEncoder, sentences: SentenceEncoder, principal: PrincipalDirections
    ) -> None:
        super().__init__()
        self.small, self.sentences, self.principal = small, sentences, principal
        self.width = small.width + len(principal.scale)
        self.words = small.words
        self.most_words = small.most_words

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        """Return the rows [1 + n, width] of each text, without gradients or dropout."""
        rows = self.small.encode(texts)
        if not rows:
            return rows
        more = self.principal(self.sentences.vectors(texts))
        beside = [
            functional.pad(one[None], (0, 0, 0, len(row) - 1)) for row, one in zip(rows, more, strict=True)
        ]
        return [torch.cat(pair, dim=1) for pair in zip(rows, beside, strict=True)]


# What transformers raises for a configuration or for weights that are none.
_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    SafetensorError,
)


class ClipTextEncoder:
    """CLIP's text tower with its projection (ViT-B/32: width 512), from a folder in transformers' layout.

    folder: holds config.json, model.safetensors and the tokenizer's files; nothing is downloaded. device: None = CPU.
    Raises WeightsError when the folder or a file in it is missing.
    """

    def __init__(self, folder: Path, device: torch.device | None = None) -> None:
        from huggingface_hub.errors import StrictDataclassError
        from transformers import CLIPTextModelWithProjection, CLIPTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # its own progress bar would interleave with the step's
        if not (folder / "config.json").is_file():
            raise WeightsError(
                f"{folder} holds no CLIP text model (config.json is missing); download openai/clip-vit-base-patch32 "
                "once, put its files there, or set train.text.encoder to 'small'"
            )
        try:
            self.tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
            model, report = CLIPTextModelWithProjection.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
        except (*_UNREADABLE, StrictDataclassError) as error:
            raise WeightsError(
                f"CLIP folder {folder} cannot be read ({str(error)[:300]}); it must hold config.json, "
                "model.safetensors, vocab.json and merges.txt"
            ) from error
        if missing := sorted(report["missing_keys"]):  # transformers would fill them with random numbers
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise WeightsError(
                f"CLIP weights in {folder} lack {', '.join(missing[:3])}{more}; get the files again"
            )
        self.model = model.eval().to(device)
        self.folder = folder
        self.words = 0
        self.most_words = None
        self.width = int(self.model.config.projection_dim)

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        """Return CLIP's projected text features, [1, width] each (`encode_text` of CLIP's code, not normalised)."""

        def embedded(chosen: Sequence[int]) -> list[Tensor]:
            tokens = self.tokenizer(
                [texts[i] for i in chosen],
                padding=True,
                truncation=True,
                max_length=self.model.config.max_position_embeddings,
                return_tensors="pt",
            ).to(self.model.device)
            return [*self.model(**tokens).text_embeds[:, None]]

        batches = Batches(64, what="texts").over(range(len(texts)), embedded)
        return [row for _, found in batches for row in found]


def load_text(folder: Path, device: torch.device) -> TextEncoder:
    """Read a text encoder: the small one, alone or with a frozen one beside it, or CLIP."""
    config = load_config(folder)
    kind = config.pop("encoder", "clip")  # a CLIP folder keeps the config.json of its makers
    if kind == "clip":
        return ClipTextEncoder(folder, device)
    if kind in ("small", WITH_MINILM):
        sha256 = str(config.pop("minilm_sha256", "")) if kind == WITH_MINILM else None
        sizes = build_config(SmallTextConfig, config, folder)
        small = load_weights(build_network(SmallTextEncoder, sizes, folder), folder, device)
        return small if sha256 is None else _with_minilm(small, folder, sha256, device)
    raise WeightsError(
        f"{folder / 'config.json'} names the unknown text encoder {kind!r}; train the component `text` again"
    )


def _with_minilm(small: SmallTextEncoder, folder: Path, sha256: str, device: torch.device) -> SmallWithMinilm:
    sentences = read_sentence_encoder(
        folder / minilm.WEIGHTS,
        folder / minilm.SIZES,
        folder / minilm.VOCABULARY,
        sha256=sha256,
        key=f"minilm_sha256 in {folder / 'config.json'}",
    )
    principal = PrincipalDirections.load(folder, sentences.width)
    return SmallWithMinilm(small, sentences, principal).to(device).eval()
