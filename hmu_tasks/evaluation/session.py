"""One evaluation session: the evaluators, the splits with their prompts, and the metrics of a bundle on them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hmu_tasks.data.motion.features import to_joints
from hmu_tasks.evaluation import measurements, prompts, splits
from hmu_tasks.evaluation.evaluators import Evaluators
from hmu_tasks.evaluation.generation import cached_codes
from hmu_tasks.evaluation.measurements import Measured, Scores, Whole
from hmu_tasks.evaluation.splits import Protocol, Split
from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.runtime.progress import Progress
from hmu_tasks.training.loop.batches import ClipSet

PAIRS = {"forget": "retain", "forget-val": "retain-val"}  # forget split -> retain split of the same clips
SEARCHED = {
    "explicit": "forget",
    "implicit": "forget",
}  # hand-written forget prompts search the test clips, too
BLOCK = 1536  # motions that are in memory at once, one repeat of a split at least
STEP = 1_000_003  # between the seeds of repeats, more than any two splits are apart


@dataclass(frozen=True)
class Session:
    """Everything that the bundles of one evaluation share."""

    evaluators: Evaluators
    protocol: Protocol
    clips: Mapping[str, ClipSet]  # forget, retain, forget-val, retain-val
    splits: Mapping[str, Split]
    sampling: Sampling
    batch: int
    device: torch.device
    cache: Path

    def protocol_of(self, name: str) -> Protocol:
        """The protocol of a split: captions are masked on splits that ask for the concept only."""
        return _protocol_of(self.protocol, name)

    def codes(self, bundle: Bundle, name: str, progress: Progress | None = None) -> list[np.ndarray]:
        """Sample (or read) the codes of a bundle for all repeats of a split's prompts."""
        return [code for repeat in self._repeats(bundle, name, progress) for code in repeat]

    def _repeats(
        self, bundle: Bundle, name: str, progress: Progress | None = None
    ) -> Iterator[list[np.ndarray]]:
        """Codes of one repeat after the other.

        Each repeat of a caption split is sampled and cached by itself, so that a killed step loses one repeat and more
        repeats sample only what is new. The few hand-written prompts are sampled at once.
        """
        asked = self.splits[name].prompts
        if name not in self.clips:
            found = self._sample(bundle, asked, name, 0, progress)
            yield from (found[asked.block(repeat)] for repeat in range(asked.repeats))
            return
        for repeat in range(asked.repeats):
            yield self._sample(bundle, asked.only(repeat), name, repeat, progress)

    def _sample(
        self, bundle: Bundle, asked: prompts.Prompts, name: str, repeat: int, progress: Progress | None = None
    ) -> list[np.ndarray]:
        return cached_codes(
            bundle,
            asked,
            sampling=self.sampling,
            seed=self.protocol.seed + sum(name.encode()) + STEP * repeat,
            batch=self.batch,
            device=self.device,
            cache=self.cache,
            progress=progress,
        )

    def measure(self, bundle: Bundle, names: Sequence[str]) -> dict[str, Measured]:
        """Measure a bundle on some splits, see `complete`."""
        return self.complete(self.scores(bundle, names))

    def scores(self, bundle: Bundle, names: Sequence[str]) -> dict[str, Scores]:
        """Score a bundle's motions for some splits one by one.

        Motions of all splits are decoded and scored together, as many as memory allows: large batches are faster.
        """
        found: dict[str, list[Scores]] = {name: [] for name in names}
        held: list[tuple[str, list[np.ndarray]]] = []

        def flush() -> None:
            codes = [code for _, part in held for code in part]
            motions = bundle.model.tokenizer.decode(codes, batch=self.batch)
            scored = measurements.score(motions, self.evaluators, self.protocol)
            start = 0
            for name, part in held:
                found[name].append(scored.part(slice(start, start + len(part))))
                start += len(part)
            held.clear()

        for name in names:
            for part in self._repeats(bundle, name):
                if held and sum(len(codes) for _, codes in held) + len(part) > BLOCK:
                    flush()
                held.append((name, part))
        flush()
        return {name: Scores.joined(parts) for name, parts in found.items()}

    def complete(self, scores: Mapping[str, Scores]) -> dict[str, Measured]:
        """Measure splits from the scores of their motions.

        The test forget prompts are also reported by whether the caption holds a keyword of the concept.
        """
        found = {
            name: measurements.assemble(self.splits[name], one, self.protocol) for name, one in scores.items()
        }
        keyword = self.splits["forget"].keyword
        if "forget" in found and keyword is not None:
            parts = {"forget-keyword": keyword, "forget-free": ~keyword}
            found |= {
                name: part
                for name, inside in parts.items()
                if (part := found["forget"].part(name, inside)) is not None
            }
        return found

    def repeated(self, bundle: Bundle, name: str, *, count: int, samples: int, pairs: int) -> Whole:
        """Metrics of several motions per prompt (MultiModality) on a test split, one value each."""
        seed = self.protocol.seed
        chosen = prompts.sampled_clips(self.clips[name], prompts=count, seed=seed)
        asked = prompts.repeated_prompts(self.clips[name], chosen, samples=samples)
        motions = bundle.model.tokenizer.decode(
            self._sample(bundle, asked, f"mm-{name}", 0), batch=self.batch
        )
        clusters = np.unique(self.splits[name].clusters[chosen], return_inverse=True)[1]
        return measurements.repeated(
            asked, motions, self.evaluators, pairs=pairs, seed=seed, clusters=clusters
        )

    def resampled(self, bundle: Bundle, name: str, codes: Sequence[np.ndarray]) -> list[np.ndarray] | None:
        """Sample all layers but the first around given codes [T_i, Q] of a split's clips, for the captions of repeat 0.

        None where the model does not sample layer by layer.
        """
        texts = self.splits[name].prompts.only(0).texts
        return bundle.model.refine_codes(
            codes,
            bundle.embedded(texts, cache=self.cache, device=self.device),
            sampling=self.sampling,
            generator=torch.Generator(device=self.device).manual_seed(
                self.protocol.seed + sum(name.encode())
            ),
            batch=self.batch,
        )

    def samples(
        self, bundle: Bundle, rows: Mapping[str, Sequence[int]]
    ) -> list[tuple[dict[str, Any], np.ndarray]]:
        """Joints [F, J, 3] of the motions of repeat 0 for chosen clips of the test splits, with who flags them."""
        found = []
        for name, chosen in rows.items():
            asked = self.splits[name].prompts
            codes = next(self._repeats(bundle, name))
            motions = bundle.model.tokenizer.decode([codes[i] for i in chosen])
            flagged = self.evaluators.flagged(motions)
            for place, (i, clip) in enumerate(zip(chosen, motions, strict=True)):
                label = {
                    "split": name,
                    "prompt": asked.captions[i].text,
                    "clip_id": self.clips[name].ids[i],
                    "frames": len(clip),
                    "fps": self.protocol.fps,
                    "flagged": {name: bool(marks[place]) for name, marks in flagged.items()},
                }
                found.append((label, np.asarray(to_joints(clip), np.float32)))
        return found


def open_session(
    evaluators: Evaluators,
    clips: Mapping[str, ClipSet],
    *,
    written: Mapping[str, Sequence[tuple[str, float]]],
    origins: Mapping[str, str],
    repeats: int,
    val_repeats: int,
    protocol: Protocol,
    sampling: Sampling,
    batch: int,
    device: torch.device,
    cache: Path,
) -> Session:
    """Build the splits: captions of the test and validation clips, and the hand-written prompts.

    origins: clip id -> what the clip was made from, the same for a clip and its mirror image.
    """
    found: dict[str, Split] = {}
    for name, part in clips.items():
        count = val_repeats if name.endswith("-val") else repeats
        asked = prompts.caption_prompts(part, repeats=count, seed=protocol.seed)
        found[name] = splits.prepare(
            name, asked, evaluators, _protocol_of(protocol, name), part.features, cache=cache
        )
        found[name].origins = [origins[i] for i in part.ids]
    if protocol.keyword is not None:
        for forget, retain in PAIRS.items():
            both = [(found[name], clips[name]) for name in (forget, retain)]
            found[forget].gallery = splits.gather(both, protocol.keyword)
    for name, rows in written.items():
        found[name] = Split(name, prompts.written_prompts(rows, repeats=repeats, fps=protocol.fps))
        if name in SEARCHED:
            found[name].gallery = found[SEARCHED[name]].gallery
    return Session(evaluators, protocol, clips, found, sampling, batch, device, cache)


def _protocol_of(protocol: Protocol, name: str) -> Protocol:
    return protocol if name in PAIRS else replace(protocol, mask=None, mask_as_released=None)
