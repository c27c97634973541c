"""Step `codebook`: counts of the training split, written and read back."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tiny_world import tiny_params

from hmu_tasks import codebook
from hmu_tasks.data.clips import packed
from hmu_tasks.methods.shared import codes
from hmu_tasks.models.networks import weights
from hmu_tasks.models.tokenizer.tokenizer import load_tokenizer
from hmu_tasks.runtime import paths


def test_usage_comes_back_as_it_was_counted(world: Path) -> None:
    clips = packed.load(paths.CLIPS)
    ids = {role: (paths.SPLIT / f"train-{role}.txt").read_text().split() for role in ("forget", "retain")}
    tokenizer = load_tokenizer(paths.component("tokenizer", "full"), torch.device("cpu"))
    found = [tokenizer.encode([np.array(clips.features(i))])[0] for i in ids["forget"] + ids["retain"]]
    forget = [True] * len(ids["forget"]) + [False] * len(ids["retain"])
    expected = codes.count_codes(found, forget, 16)
    usage = codes.load_usage(paths.codebook())
    for name in codes.TABLES:
        np.testing.assert_array_equal(getattr(usage, name), getattr(expected, name))
    assert (usage.forget, usage.retain) == (len(ids["forget"]), len(ids["retain"]))
    assert (usage.layers, usage.codes) == (2, 16)
    table = pd.read_parquet(paths.codebook() / "usage.parquet")
    assert table[["layer", "code"]].to_numpy().tolist() == [[q, k] for q in range(2) for k in range(16)]
    np.testing.assert_array_equal(table["ratio"], codes.published_ratio(usage).ravel())


def test_the_summary_speaks_of_the_same_counts(world: Path) -> None:
    usage = codes.load_usage(paths.codebook())
    summary = json.loads((paths.codebook() / "codebook.json").read_text())
    assert (summary["codes"], summary["layers"]) == (16, 2)
    assert summary["perplexity"]["forget"] == codes.perplexity(usage.forget_count).tolist()
    assert len(summary["mostly_forget"]) == 2


def test_counting_again_gives_the_same_bytes_whether_the_codes_are_known_or_not(world: Path) -> None:
    before = weights.digest(paths.codebook())
    codebook.run(tiny_params())
    assert weights.digest(paths.codebook()) == before
    for known in paths.CACHE.glob("clips-*"):
        known.unlink()
    codebook.run(tiny_params())
    assert weights.digest(paths.codebook()) == before
