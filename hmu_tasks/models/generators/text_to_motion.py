"""Interface of a text-to-motion model: a tokenizer and the networks that sample its codes."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from hmu_tasks.models.generators.batched import in_batches, side_by_side
from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.models.generators.sampling import Negative
from hmu_tasks.models.generators.token_loss import Predicted
from hmu_tasks.models.networks.lengths import UNIT
from hmu_tasks.models.text.embeddings import rows_of, trimmed
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
from hmu_tasks.runtime.progress import Progress

Level = Literal["sentence", "word"]


@dataclass(frozen=True)
class Sampling:
    """Sampler settings; a model uses those that apply to it.

    steps: decoding steps. cfg: scale of classifier-free guidance. residual_cfg: the same for a residual transformer.
    temperature: of the softmax. top_k: share of the codes that is cut away, the least likely first.
    """

    steps: int = 10
    cfg: float = 4.0
    residual_cfg: float = 5.0
    temperature: float = 1.0
    top_k: float = 0.9


@dataclass(frozen=True)
class TextToMotion(ABC):
    """A model: embedded texts and lengths in, motion out. Methods create new models and never modify one in place.

    A sub-class is a frozen dataclass with one more field per network, a `CodeNetwork` each, and defines how they
    sample (`sample`) and score given codes (`guided`). Everything else is derived.
    """

    tokenizer: Tokenizer

    @abstractmethod
    def sample(
        self,
        text: Tensor,
        lengths: Tensor | None,
        *,
        sampling: Sampling,
        streams: Mapping[str, torch.Generator],
    ) -> Tensor:
        """Sample the codes of all layers: text [B, 1 + n, W] -> [B, longest, Q] int64, -1 beyond a length.

        lengths: [B] tokens; None makes a model predict them, or raise ValueError if it cannot. streams: a
        generator of the CPU per network; what is sampled for a row should depend on that row alone
        (`sampling.row_uniforms`).
        """

    @abstractmethod
    def guided(
        self,
        codes: Tensor,
        text: Tensor,
        lengths: Tensor,
        *,
        cfg_scale: float,
        generator: torch.Generator,
    ) -> list[Predicted]:
        """Score given codes with the logits that sampling uses, guidance and a negative text included.

        codes: [B, T, Q], anything beyond the length; text: [B, 1 + n, W], may require a gradient; lengths: [B] tokens.
        Which codes are scored, and which others are visible, follows from `generator` as in training.
        """

    def refine(
        self,
        first: Tensor,
        text: Tensor,
        *,
        sampling: Sampling,
        streams: Mapping[str, torch.Generator],
    ) -> Tensor | None:
        """Sample the further layers around given codes of layer 0, [B, T], -1 beyond a length -> [B, T, Q].

        None, the default, says that the model does not sample layer by layer. Other arguments are those of `sample`.
        """
        del first, text, sampling, streams
        return None

    def proceed(
        self,
        given: Tensor,
        text: Tensor,
        lengths: Tensor,
        *,
        sampling: Sampling,
        streams: Mapping[str, torch.Generator],
    ) -> Tensor | None:
        """Go on from given codes of layer 0, [B, longest] with -1 where one is to be sampled -> [B, longest, Q].

        At least one code of each row is sampled. None, the default, says that the model cannot. Other arguments are
        those of `sample`.
        """
        del given, text, lengths, sampling, streams
        return None

    @property
    def predicts_lengths(self) -> bool:
        """Whether the model predicts the length of a motion if none is given."""
        return False

    @property
    def networks(self) -> dict[str, CodeNetwork]:
        """The networks by name, in the order in which they sample."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "tokenizer"}

    @property
    def parts(self) -> dict[str, Any]:
        """Tokenizer and networks by name; a bundle holds these and the text encoder."""
        return {"tokenizer": self.tokenizer, **self.networks}

    def with_parts(self, **parts: Any) -> Self:
        """Return a model with other parts, by name, that shares everything else."""
        return replace(self, **parts)

    @property
    def codebooks(self) -> Tensor:
        """Codebooks of all layers, [Q, K, C]."""
        return self.tokenizer.codebooks

    @property
    def text_projections(self) -> dict[Level, dict[str, nn.Linear]]:
        """The projections of the text that closed-form edits may change, by what they read and by network.

        `sentence`: of the sentence vector; `word`: of the word states, where networks read any.
        """
        words = {name: network.word_emb for name, network in self.networks.items()}
        found: dict[Level, dict[str, nn.Linear]] = {
            "sentence": {name: network.cond_emb for name, network in self.networks.items()},
            "word": {name: linear for name, linear in words.items() if linear is not None},
        }
        return {level: projections for level, projections in found.items() if projections}

    def with_codebooks(self, codebooks: Tensor) -> Self:
        """Return a model that decodes with `codebooks` [Q, K, C] and shares everything else."""
        network = self.tokenizer.network.with_codebooks(codebooks)
        return replace(self, tokenizer=replace(self.tokenizer, network=network))

    def with_text_projections(self, projections: Mapping[Level, Mapping[str, nn.Linear]]) -> Self:
        """Return a model with other `text_projections`, all or some of them, that shares everything else."""
        names = {name for level in projections.values() for name in level}
        parts = {name: copy.deepcopy(self.networks[name]) for name in names}
        for name, linear in projections.get("sentence", {}).items():
            parts[name].cond_emb = linear
        for name, linear in projections.get("word", {}).items():
            parts[name].word_emb = linear
        return self.with_parts(**parts)

    def with_negative(self, negative: Negative) -> Self:
        """Return a model that steers away from a text whenever it samples, with the same weights."""
        # A shallow copy shares the weights, and only it gets the attribute.
        parts = {name: copy.copy(network) for name, network in self.networks.items()}
        for network in parts.values():
            network.negative = negative
        return self.with_parts(**parts)

    def code_rows(self, layer: int) -> list[Tensor]:
        """Embeddings and output projections of a layer's codes in all networks, [>= K, width] each."""
        return [rows for network in self.networks.values() for rows in network.code_rows(layer)]

    def without_codes(self, layer: int, codes: Tensor) -> dict[str, CodeNetwork]:
        """Copies of the networks that sample a layer, by name, that never sample the codes marked in `codes` [K]."""
        copies = {name: network.without_codes(layer, codes) for name, network in self.networks.items()}
        return {name: network for name, network in copies.items() if network is not None}

    @torch.no_grad()
    def generate_codes(
        self,
        text: Tensor,
        frames: Sequence[int] | None,
        *,
        sampling: Sampling,
        generator: torch.Generator,
        batch: int = 128,
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        """Sample codes for each prompt.

        text: [B, 1 + n, W] embedded texts. frames: B lengths in frames (cut to a multiple of four); None to
        predict them. Returns B int64 arrays [frames_i // 4, Q]. Prompts of similar length share a
        batch; what is sampled for a prompt does not depend on the size of the batches.
        """
        tokens = None if frames is None else np.array([f // UNIT for f in frames])
        text, streams = rows_of(text), self._streams(generator)

        def sample(rows: Sequence[int]) -> Tensor:
            lengths = None if tokens is None else torch.from_numpy(tokens[rows]).to(text.device)
            return self.sample(self._as_read(text[rows]), lengths, sampling=sampling, streams=streams)

        codes = in_batches(
            sample, text, tokens, what="prompts", streams=streams, batch=batch, progress=progress
        )
        assert codes is not None  # `sample` always finds some
        return codes

    @torch.no_grad()
    def refine_codes(
        self,
        codes: Sequence[np.ndarray],
        text: Tensor,
        *,
        sampling: Sampling,
        generator: torch.Generator,
        batch: int = 128,
    ) -> list[np.ndarray] | None:
        """Keep layer 0 of codes [T_i, Q] of real motions and sample all further layers anew; None as for `refine`.

        text: [B, 1 + n, W] of their captions. Content is that of the real motions, texture that of generated ones.
        """
        lengths = np.array([len(clip) for clip in codes])
        streams = self._streams(generator)

        def refine(rows: Sequence[int]) -> Tensor | None:
            first = side_by_side([codes[i][:, 0] for i in rows], int(lengths[rows].max()))
            return self.refine(first.to(text.device), text[rows], sampling=sampling, streams=streams)

        return in_batches(refine, text, lengths, what="motions", streams=streams, batch=batch)

    @torch.no_grad()
    def continued_codes(
        self,
        beginnings: Sequence[np.ndarray],
        text: Tensor,
        frames: Sequence[int],
        *,
        sampling: Sampling,
        generator: torch.Generator,
        batch: int = 128,
    ) -> list[np.ndarray] | None:
        """Sample motions that begin with given codes of layer 0, [T_i] each, shorter than the motions.

        Other arguments and the result are those of `generate_codes`; None as for `proceed`.
        """
        tokens = np.array([f // UNIT for f in frames])
        text, streams = rows_of(text), self._streams(generator)

        def proceed(rows: Sequence[int]) -> Tensor | None:
            given = side_by_side([beginnings[i] for i in rows], int(tokens[rows].max())).to(text.device)
            lengths = torch.from_numpy(tokens[rows]).to(text.device)
            return self.proceed(given, self._as_read(text[rows]), lengths, sampling=sampling, streams=streams)

        return in_batches(proceed, text, tokens, what="prompts", streams=streams, batch=batch)

    def generate(
        self,
        text: Tensor,
        frames: Sequence[int] | None,
        *,
        sampling: Sampling,
        generator: torch.Generator,
        batch: int = 128,
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        """Sample one motion per prompt: raw features [frames_i // 4 * 4, D]."""
        codes = self.generate_codes(
            text, frames, sampling=sampling, generator=generator, batch=batch, progress=progress
        )
        return self.tokenizer.decode(codes, batch=batch)

    @staticmethod
    def _as_read(text: Tensor) -> Tensor:
        """Cut away words that no text of a batch has; not on a GPU, where it waits and makes new shapes."""
        return trimmed(text) if text.device.type == "cpu" else text

    def _streams(self, generator: torch.Generator) -> dict[str, torch.Generator]:
        """A generator of the CPU per network: prompts consume random numbers in order, independent of batching.

        A GPU's own generator gives a prompt other numbers in another batch.
        """
        if generator.device.type != "cpu":
            drawn = torch.randint(2**62, (1,), generator=generator, device=generator.device)
            generator = torch.Generator().manual_seed(int(drawn))
        first, *others = self.networks
        streams = {first: generator}
        for name in others:
            seed = int(torch.randint(2**62, (1,), generator=generator))
            streams[name] = torch.Generator()
            streams[name].manual_seed(seed)
        return streams
