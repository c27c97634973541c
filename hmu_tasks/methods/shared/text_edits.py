"""Edits of the maps that read the sentence vector, from a bundle to edited bundles with the proof of what changed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from hmu_tasks.methods import guidance, method_function, rece, uce
from hmu_tasks.methods.shared.closed_form import Texts, towards_retain
from hmu_tasks.methods.shared.cost import Cost
from hmu_tasks.methods.shared.difference import difference
from hmu_tasks.models import model_named
from hmu_tasks.models.generators.bundle import Bundle, load_bundle, save_bundle
from hmu_tasks.models.generators.sampling import save_negative
from hmu_tasks.models.generators.text_to_motion import Progress
from hmu_tasks.models.networks.components import link_files, load_config, save_network
from hmu_tasks.models.text.embeddings import embed_texts, stacked
from hmu_tasks.runtime.files import write_json

Kind = Literal["captions", "keywords"]
Target = Literal["shifted", "empty"]
RELEASED: dict[str, Callable[..., dict[str, nn.Linear]]] = {
    "uce": uce.edit_as_released,
    "rece": rece.edit_as_released,
}


@dataclass(frozen=True)
class TextChoice:
    """Which texts an edit learns from.

    kind: training captions, or the concept's single words against the released ones. captions: how many are
    drawn of either set, with `seed`. target: what a forget text is to read as: the same without the concept
    (`shifted`), or the empty text.
    """

    kind: Kind
    captions: int
    seed: int
    target: Target = "shifted"


def drawn(captions: Sequence[str], count: int, *, seed: Sequence[int]) -> list[str]:
    """Draw `count` of the captions without replacement (all of them where there are fewer), in their order."""
    chosen = np.random.default_rng(list(seed)).permutation(len(captions))[:count]
    return [captions[i] for i in sorted(chosen)]


@dataclass(frozen=True)
class TextEdits:
    """What the edits of one model start from.

    source: the original bundle; model: its name. cache: where sentence vectors are kept.
    forget, retain: training captions of either set; keywords: the concept's single words.
    """

    source: Path
    model: str
    cache: Path
    forget: Sequence[str]
    retain: Sequence[str]
    keywords: Sequence[str]

    @cached_property
    def bundle(self) -> Bundle:
        """The original model, on the CPU."""
        return load_bundle(self.source, torch.device("cpu"))

    def sweep(
        self,
        method: str,
        folder: Path,
        strengths: Sequence[int],
        seeds: Sequence[int],
        knobs: Mapping[str, float],
        *,
        texts: TextChoice,
        progress: Progress | None,
    ) -> None:
        """Write one bundle per strength (in per cent) and draw of texts, as k<strength>-s<draw>."""
        edit = method_function(method)
        cells = [(draw, strength) for draw in seeds for strength in strengths]
        found = {draw: self.texts(texts, draw) for draw in seeds}
        for done, (draw, strength) in enumerate(cells, start=1):
            edited = edit(self.bundle.model.text_projections, found[draw], strength=strength / 100, **knobs)
            sizes = {"forget": len(found[draw].forget), "retain": len(found[draw].retain)}
            report = {
                "method": method,
                "strength": strength,
                "seed": draw,
                "texts": {"kind": texts.kind, **sizes},
                "cost": asdict(self._cost(texts.kind, found[draw])),
            }
            self._save(edited, report, folder / f"strength{strength:03d}-s{draw}")
            if progress is not None:
                progress(done, len(cells))

    def steer(
        self,
        folder: Path,
        strengths: Sequence[int],
        seeds: Sequence[int],
        *,
        texts: TextChoice,
        progress: Progress | None,
    ) -> None:
        """Write one bundle per strength (in per cent) and draw of texts that steers away from the concept."""
        cells = [(draw, strength) for draw in seeds for strength in strengths]
        for done, (draw, strength) in enumerate(cells, start=1):
            found = self.texts(texts, draw)
            target = folder / f"strength{strength:03d}-s{draw}"
            parts = {name: self.source / name for name in model_named(self.model).parts}
            for name in self.bundle.model.networks if strength else ():
                parts[name] = target / name
                link_files(self.source / name, parts[name])
                save_negative(guidance.negative(found, strength=strength / 100), parts[name])
            lineage = {"method": "guidance", "from": self.source.as_posix()}
            save_bundle(parts, target, lineage, model=self.model)
            sizes = {"forget": len(found.forget), "retain": len(found.retain)}
            # The prompt, no text and the concept: three passes in the place of two.
            cost = self._cost(texts.kind, found, extra_sampling=1.5 if strength else 1.0)
            report = {
                "method": "guidance",
                "strength": strength,
                "seed": draw,
                "texts": {"kind": texts.kind, **sizes},
                "cost": asdict(cost),
                "edited": [],
                "changed_parameters": 0,
            }
            write_json(target / "edit.json", report)
            if progress is not None:
                progress(done, len(cells))

    def released(self, method: str, folder: Path, **knobs: Any) -> None:
        """Write the one bundle of a method as released: single words, fixed weights, its faults; no strength."""
        forget, retain, target = self._embed(self.keywords, uce.PUBLISHED_RETAIN, [uce.PUBLISHED_TARGET])
        edited = RELEASED[method](self.bundle.model.text_projections, forget, retain, target[0], **knobs)
        sizes = {"forget": len(forget), "retain": len(retain)}
        report = {"method": method, "strength": None, "seed": 0, "texts": {"kind": "keywords", **sizes}}
        self._save(edited, {**report, "cost": asdict(Cost()), "published": True}, folder / "s0")

    def texts(self, choice: TextChoice, draw: int) -> Texts:
        """Embed what stands for the concept and for the rest."""
        written: list[Sequence[str]] = [self.keywords, uce.PUBLISHED_RETAIN]
        if choice.kind == "captions":
            seed = [choice.seed, draw]
            written = [drawn(known, choice.captions, seed=seed) for known in (self.forget, self.retain)]
        forget, retain, empty = self._embed(*written, [uce.PUBLISHED_TARGET])
        shifted = choice.target == "shifted"
        return Texts(forget, retain, towards_retain(forget, retain) if shifted else empty.expand_as(forget))

    @staticmethod
    def _cost(kind: Kind, texts: Texts, *, extra_sampling: float = 1.0) -> Cost:
        """Cost of an edit: keywords are no captions of the training split."""
        read = len(texts.forget) + len(texts.retain) if kind == "captions" else 0
        return Cost(captions_read=read, extra_sampling=extra_sampling)

    def _embed(self, *groups: Sequence[str]) -> list[Tensor]:
        """Sentence vectors [n, W] of each group of texts."""
        bundle = self.bundle
        wanted = [text for group in groups for text in group]
        vectors = embed_texts(bundle.text, wanted, cache=self.cache, digest=bundle.text_digest)
        return [stacked(vectors, group) for group in groups]

    def _save(self, edited: Mapping[str, nn.Linear], report: Mapping[str, Any], target: Path) -> None:
        """Write a bundle with other maps of the sentence vector, and edit.json: which tensors changed, how much."""
        before, after = self.bundle.model, self.bundle.model.with_text_projections(edited)
        parts = {name: self.source / name for name in model_named(self.model).parts}
        changes = {}
        for name in edited:
            old, new = (model.networks[name].state_dict() for model in (before, after))
            changes[name] = difference(old, new)
            parts[name] = target / name
            save_network(after.networks[name], load_config(self.source / name), parts[name])
        lineage = {"method": report["method"], "from": self.source.as_posix()}
        save_bundle(parts, target, lineage, model=self.model)
        content = {
            **report,
            "edited": [f"{name}.{tensor}" for name, found in changes.items() for tensor in found.changed],
            "changed_parameters": sum(found.values for found in changes.values()),
            "untouched_components": [name for name in parts if name not in changes],
            **{name: asdict(found) for name, found in changes.items()},
        }
        write_json(target / "edit.json", content)
