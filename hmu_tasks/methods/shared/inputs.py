"""Inputs of a method: the original model and the training split, each read on first use."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from hmu_tasks.data.clips import packed
from hmu_tasks.data.clips.id_lists import ROLES, Role, id_list, read_ids
from hmu_tasks.methods.shared import encoded
from hmu_tasks.methods.shared.codes import CodeUsage, load_prior, load_usage
from hmu_tasks.models.generators.bundle import Bundle, load_bundle
from hmu_tasks.models.networks import weights
from hmu_tasks.models.text.embeddings import embed_texts, stacked
from hmu_tasks.models.text.encoders import TextEncoder, load_text
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer, load_tokenizer
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import expecting, read_object
from hmu_tasks.training.loop.batches import clip_set
from hmu_tasks.training.loop.code_batches import CodeSet

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Inputs:
    """The inputs of a method on one model.

    original: folder of the original bundle. clips, split, codebook: outputs of the steps ingest, filter and codebook.
    cache: folder of embedded texts. work: folder name of resumable training, which `identity` (knobs, seed, code)
    and the digests of all inputs complete. seed: of the run. progress: of one seed's edits, for methods that train.
    """

    original: Path
    clips: Path
    split: Path
    codebook: Path
    cache: Path
    work: Path
    identity: str
    seed: int
    device: torch.device
    progress: Callable[[int, int], None]

    @cached_property
    def bundle(self) -> Bundle:
        """The original model with its text encoder, on the CPU."""
        return load_bundle(self.original, CPU)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The original's tokenizer alone, on the CPU."""
        return load_tokenizer(self.original / "tokenizer", CPU)

    def usage(self, part: str | None = None) -> CodeUsage:
        """How often forget and retain clips use each code; part: a sub-concept instead of the forget set."""
        return load_usage(self.codebook, part)

    @property
    def prior(self) -> float:
        """Weight of the log-odds prior, in pseudo-counts per code."""
        return load_prior(self.codebook)

    @cached_property
    def ids(self) -> dict[Role, list[str]]:
        """Ids of the training clips by role."""
        return {role: read_ids(self.split, "train", role) for role in ROLES}

    @cached_property
    def captions(self) -> dict[Role, list[str]]:
        """Distinct captions of the training clips by role, sorted; raises DataError where a role has none."""
        rows = packed.load(self.clips).caption_rows()
        found = {}
        for role in ROLES:
            ids = set(self.ids[role])
            found[role] = sorted({text for clip_id, text, _ in rows if clip_id in ids})
            if not found[role]:
                place = id_list(self.split, "train", role)
                raise DataError(f"no clip of {place} has a caption; an edit on the text side needs some")
        return found

    @cached_property
    def keywords(self) -> list[str]:
        """The concept's single words, sorted."""
        place = self.split / "filter.json"
        with expecting(place):
            return sorted(read_object(place, "rules")["rules"]["substring"]["keywords"])

    @cached_property
    def text(self) -> TextEncoder:
        """The original's text encoder, on the run's device."""
        return (
            self.bundle.text if self.device.type == "cpu" else load_text(self.original / "text", self.device)
        )

    def rows(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Embed texts on the run's device: rows [1 + n, W] of each on the CPU, its sentence vector and n words."""
        found = embed_texts(self.text, texts, cache=self.cache, digest=self.bundle.text_digest)
        return {text: row.cpu() for text, row in found.items()}

    def embed(self, *groups: Sequence[str]) -> list[Tensor]:
        """Embed each group of texts, [n, 1 + m, W]; m is the largest number of words in the group."""
        wanted = [text for group in groups for text in group]
        rows = self.rows(wanted)
        return [stacked(rows, group) for group in groups]

    @cached_property
    def clip_captions(self) -> dict[Role, list[list[str]]]:
        """Captions of each training clip by role, in the order of `ids`."""
        both = clip_set(packed.load(self.clips), self.ids["forget"] + self.ids["retain"])
        texts = [[caption.text for caption in row] for row in both.captions]
        count = len(self.ids["forget"])
        return {"forget": texts[:count], "retain": texts[count:]}

    @cached_property
    def coded(self) -> dict[Role, CodeSet]:
        """Codes of the training clips with their embedded captions, by role."""
        forget, retain = (self.clip_captions[role] for role in ROLES)
        texts = [text for row in [*forget, *retain] for text in row]
        rows = self.rows(texts)
        codes = encoded.load_codes(self.codebook, len(forget) + len(retain))
        return {
            "forget": CodeSet(codes[: len(forget)], forget, rows),
            "retain": CodeSet(codes[len(forget) :], retain, rows),
        }

    @cached_property
    def scratch(self) -> Path:
        """Folder of resumable training, named by all its inputs, so that it never continues with others."""
        files = [self.original / "bundle.json", self.codebook / encoded.FILE]
        files += [self.clips / name for name in ("captions.parquet", "clips.parquet", "features.npy")]
        files += [id_list(self.split, "train", role) for role in ROLES]
        parts = [self.identity, str(self.device), *(weights.digest(file) for file in files)]
        return self.work.with_name(
            f"{self.work.name}-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:16]}"
        )
