"""What does not fit into a GPU's memory at once is computed in parts, with equal results, for every batch there is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_clip import write_clip
from tiny_minilm import sha256_of, write_minilm

from hmu_tasks.evaluation import evaluators as measured
from hmu_tasks.evaluation.evaluators import Evaluators, joints_in_batches
from hmu_tasks.models.evaluators.classifier import CLASSIFIERS, ClassifierConfig, Violence
from hmu_tasks.models.evaluators.evaluator import Evaluator, EvaluatorConfig
from hmu_tasks.models.evaluators.words import HashedWords
from hmu_tasks.models.text.encoders import ClipTextEncoder, SmallTextConfig, SmallTextEncoder
from hmu_tasks.models.text.minilm import SentenceEncoder, read_sentence_encoder
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
from hmu_tasks.runtime.errors import HmuError

CPU = torch.device("cpu")
TEXTS = ["kick", "a person kicks", "a person", "walking", "someone walks in a circle"]
SIZES = EvaluatorConfig(features=263, movement_width=8, motion_hidden=8, text_hidden=8, width=8)


def clips() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.3, (24, 263)).astype(np.float32) for _ in range(5)]


def evaluators() -> Evaluators:
    network = Evaluator(SIZES, seed=1).eval()
    words = HashedWords(network.config.word_width)
    return Evaluators(network, torch.zeros(263), torch.ones(263), 20, words, {}, "", "")


def tokenizer() -> Tokenizer:
    sizes = TokenizerConfig(
        width=16, code_width=8, codes=16, quantizers=3, depth=1, dropout=0.0, sample_temperature=0.0
    )
    network = RVQVAE(sizes, seed=3).train()
    stream = torch.Generator().manual_seed(0)
    network.training_loss(torch.randn(4, 32, 263, generator=stream), generator=stream, active=3)
    return Tokenizer(network.eval(), torch.zeros(263), torch.ones(263))


def sentences(folder: Path) -> SentenceEncoder:
    place = write_minilm(folder / "minilm")
    files = [place / name for name in ("model.safetensors", "config.json", "vocab.txt")]
    return read_sentence_encoder(*files, sha256=sha256_of(place), key="key")


Make = Callable[[Path], tuple[Any, str, Callable[[], Any]]]
"""The object with the method that runs out of memory, the method's name, and what is computed."""


def of_tokenizer(method: str) -> Make:
    def make(_: Path) -> tuple[Any, str, Callable[[], Any]]:
        one = tokenizer()
        given = clips() if method == "encode" else one.encode(clips())
        return one.network, method, lambda: getattr(one, method)(given)

    return make


def of_motions(_: Path) -> tuple[Any, str, Callable[[], Any]]:
    one = evaluators()
    return one.evaluator, "embed_motion", lambda: one.embed_motions(clips())


def of_captions(_: Path) -> tuple[Any, str, Callable[[], Any]]:
    one = evaluators()
    tokens = [[f"{word}/NOUN" for word in text.split()] for text in TEXTS]
    return one.evaluator, "embed_text", lambda: one.embed_captions(tokens)


def of_classifier(_: Path) -> tuple[Any, str, Callable[[], Any]]:
    network = next(iter(CLASSIFIERS.values()))(ClassifierConfig(features=263, width=8), seed=1).eval()
    one = Violence(network, torch.zeros(263), torch.ones(263), 0.5)
    return network, "scores", lambda: one.scores(clips())


def of_joints(_: Path) -> tuple[Any, str, Callable[[], Any]]:
    return measured, "to_joints", lambda: joints_in_batches(clips(), CPU, batch=512)


def of_small(_: Path) -> tuple[Any, str, Callable[[], Any]]:
    one = SmallTextEncoder(SmallTextConfig(width=16, words=3, word_width=8), seed=1).eval()
    return one, "_read", lambda: one.encode(TEXTS)


def of_minilm(folder: Path) -> tuple[Any, str, Callable[[], Any]]:
    one = sentences(folder)
    return one.bert, "forward", lambda: one.vectors(TEXTS)


def of_clip(folder: Path) -> tuple[Any, str, Callable[[], Any]]:
    one = ClipTextEncoder(write_clip(folder / "clip"))
    return one.model, "forward", lambda: one.encode(TEXTS)


KINDS: dict[str, tuple[Make, str]] = {
    "encode": (of_tokenizer("encode"), "clips"),
    "decode": (of_tokenizer("decode"), "motions"),
    "motions": (of_motions, "motions"),
    "captions": (of_captions, "captions"),
    "classifier": (of_classifier, "motions"),
    "joints": (of_joints, "motions"),
    "small": (of_small, "texts"),
    "minilm": (of_minilm, "texts"),
    "clip": (of_clip, "texts"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_that_does_not_fit_is_halved_with_equal_results(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, what = KINDS[kind]
    owner, method, work = make(tmp_path)
    expected = work()
    room, given = [2], getattr(owner, method)

    def full(*values: Any, **named: Any) -> Any:
        rows = named["input_ids"] if "input_ids" in named else values[0]
        if len(rows) > room[0]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return given(*values, **named)

    monkeypatch.setattr(owner, method, full)
    capsys.readouterr()
    found = work()
    assert len(found) == len(expected) == 5
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-5, atol=1e-6)
    assert capsys.readouterr().err.splitlines() == [
        f"note: 5 {what} do not fit into the GPU's memory at once; now 2 at a time"
    ]
    room[0] = 0
    with pytest.raises(HmuError, match=f"one of the {what} does not fit .* set run.device to cpu"):
        work()
