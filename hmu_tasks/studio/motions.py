"""Motions for prompts that a person types, with the violence classifiers' score of every frame."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hmu_tasks.data.motion.features import to_joints
from hmu_tasks.models.evaluators.classifier import Violence, load_classifiers
from hmu_tasks.models.generators.bundle import Bundle, load_bundle
from hmu_tasks.models.generators.length import LengthEstimator, load_length
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.networks.device import pick_device
from hmu_tasks.models.networks.lengths import UNIT
from hmu_tasks.models.text.embeddings import embed_texts, stacked
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.prompts import unread
from hmu_tasks.runtime.seeds import MOST_SEED, generator
from hmu_tasks.studio.sources import ModelSource

LONGEST_PROMPT = 400  # characters, as in serving
LONGEST = 196  # frames
USUAL_SECONDS = 5.0


@dataclass(frozen=True)
class Curve:
    """A classifier's score of each frame.

    name: of the classifier. scores: [F] in [0, 1], the moving average whose largest value is the motion's score.
    threshold: above which a motion is flagged.
    """

    name: str
    scores: NDArray[np.floating]
    threshold: float

    @property
    def peak(self) -> float:
        """The motion's score."""
        return float(self.scores.max())

    @property
    def flagged(self) -> bool:
        """Whether the motion is flagged."""
        return self.peak > self.threshold


@dataclass(frozen=True)
class ScoredMotion:
    """A generated motion: joints [F, J, 3] in metres, Y up, and one score curve per classifier."""

    source: ModelSource
    joints: NDArray[np.floating]
    fps: float
    curves: tuple[Curve, ...] = ()

    @property
    def curve(self) -> Curve | None:
        """The curve that comes nearest to its threshold, or exceeds it most; None without classifiers."""
        return max(self.curves, key=lambda one: one.peak - one.threshold, default=None)


@dataclass
class Studio:
    """Loads models once and generates with them; several threads may ask.

    sampling: as the models were evaluated. classifiers: by name; empty where the dataset has no action labels.
    shortest: frames of the shortest motion.
    """

    sampling: Sampling
    fps: float
    device: torch.device
    classifiers: Mapping[str, Violence] = field(default_factory=dict)
    shortest: int = 40
    _models: dict[Path, tuple[Bundle, LengthEstimator | None]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def load(self, source: ModelSource) -> None:
        """Read a model's files now, so that the first prompt does not wait for them."""
        with self._lock:
            self._model(source)

    def generate(
        self, source: ModelSource, prompt: str, *, seconds: float | None = None, seed: int = 0
    ) -> ScoredMotion:
        """Generate one motion, the same as a server of this bundle does.

        seconds: None for the length that the model predicts, or 5 s where it cannot. Raises DataError for a prompt, a
        length or a seed that is not allowed.
        """
        frames = self._frames(seconds)
        check_prompt(prompt)
        if not 0 <= seed <= MOST_SEED:
            raise DataError(f"seed is {seed}; give a whole number from 0 to 2**63 - 1")
        with self._lock, torch.no_grad():
            bundle, estimator = self._model(source)
            text = stacked(embed_texts(bundle.text, [prompt]), [prompt]).to(self.device)
            if frames is None:
                frames = self._predicted(bundle, estimator, text[:, 0], seed)
            features = bundle.model.generate(
                text,
                None if frames is None else [frames],
                sampling=self.sampling,
                generator=self._generator(seed),
            )[0]
            return self.motion(source, features)

    def check_readable(self, source: ModelSource, prompt: str) -> None:
        """Raise DataError for a typed prompt of which a model's text encoder would leave something out."""
        with self._lock:
            encoder = self._model(source)[0].text
        if encoder.most_words is not None and (fault := unread(prompt, most_words=encoder.most_words)):
            raise DataError(fault)

    def motion(self, source: ModelSource, features: NDArray[Any]) -> ScoredMotion:
        """Score raw features [F, D] and turn them into a motion."""
        return ScoredMotion(
            source,
            np.asarray(to_joints(features), np.float32),
            self.fps,
            tuple(curve_of(name, one, features) for name, one in self.classifiers.items()),
        )

    def _model(self, source: ModelSource) -> tuple[Bundle, LengthEstimator | None]:
        if source.folder not in self._models:
            bundle = load_bundle(source.folder, self.device)
            self._models[source.folder] = bundle, load_length(source.folder / "text", self.device)
        return self._models[source.folder]

    def _frames(self, seconds: float | None) -> int | None:
        if seconds is None:
            return None
        least, most = self.shortest / self.fps, LONGEST / self.fps
        if not least <= seconds <= most:
            raise DataError(f"the length is {seconds:g} s; motions last {least:.3g} to {most:.3g} s")
        return self._whole(seconds)

    def _whole(self, seconds: float) -> int:
        return min(max(round(seconds * self.fps / UNIT) * UNIT, self.shortest), LONGEST)

    def _predicted(
        self, bundle: Bundle, estimator: LengthEstimator | None, sentence: torch.Tensor, seed: int
    ) -> int | None:
        if estimator is not None:
            shares = estimator(sentence).softmax(dim=-1)
            tokens = torch.multinomial(shares, 1, generator=self._generator(seed))
            return min(max(int(tokens) * UNIT, self.shortest), LONGEST)
        return None if bundle.model.predicts_lengths else self._whole(USUAL_SECONDS)

    def _generator(self, seed: int) -> torch.Generator:
        return generator(seed, self.device)


def check_prompt(prompt: str) -> None:
    """Raise DataError for a prompt that holds no word, or is too long."""
    if not any(sign.isalnum() for sign in prompt):
        raise DataError(f"the prompt {prompt[:40]!r} holds no word; write what the person does")
    if len(prompt) > LONGEST_PROMPT:
        raise DataError(f"the prompt has {len(prompt)} characters; at most {LONGEST_PROMPT} are taken")


@torch.no_grad()
def curve_of(name: str, violence: Violence, features: NDArray[Any]) -> Curve:
    """Score every frame of raw features [F, D]; the largest score is the one that decides (`ViolenceClassifier`)."""
    clip = torch.from_numpy(np.asarray(features, np.float32)).to(violence.mean.device)
    logits = violence.network.logits(((clip - violence.mean) / violence.std)[None], torch.tensor([len(clip)]))
    frames = torch.sigmoid(logits)[0].cpu().numpy()
    width = min(violence.network.config.pool, len(frames))
    averaged = np.convolve(frames, np.full(width, 1 / width), mode="valid")
    before = (width - 1) // 2
    return Curve(name, np.pad(averaged, (before, width - 1 - before), mode="edge"), violence.threshold)


def open_studio(
    *, device: str, sampling: Mapping[str, Any], fps: float, shortest: int, classifier: Path
) -> Studio:
    """Open a studio; classifier: folder of the violence classifiers, which may be missing.

    fps, shortest: frame rate and shortest motion of the data that the models were trained on.
    """
    found = pick_device(device)
    classifiers = load_classifiers(classifier, found) if classifier.exists() else {}
    return Studio(Sampling(**sampling), fps, found, classifiers, -(-shortest // UNIT) * UNIT)
