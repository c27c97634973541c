"""Inputs of a method: where texts are embedded."""

from pathlib import Path

import pytest
import torch
from tiny_world import tiny_params

from hmu_tasks.methods.shared import inputs
from hmu_tasks.methods.shared.inputs import Inputs
from hmu_tasks.models.text.encoders import TextEncoder, load_text
from hmu_tasks.runtime import paths

CPU = torch.device("cpu")


def given(device: torch.device, cache: Path) -> Inputs:
    return Inputs(
        original=paths.edits("momask", "original") / "s0",
        clips=paths.CLIPS,
        split=paths.SPLIT,
        codebook=paths.codebook(),
        cache=cache,
        work=paths.SCRATCH / "work",
        identity="",
        seed=tiny_params().run.seed,
        device=device,
        progress=lambda done, total: None,
    )


@pytest.mark.usefixtures("world")
def test_texts_are_embedded_on_the_device_and_kept_on_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[torch.device] = []

    def loaded(folder: Path, device: torch.device) -> TextEncoder:
        used.append(device)
        return load_text(folder, CPU)  # there is no other device here

    monkeypatch.setattr(inputs, "load_text", loaded)
    texts = ["a man kicks", "a person walks"]
    (expected,) = given(CPU, tmp_path / "one").embed(texts)
    assert used == []
    (found,) = given(torch.device("cuda"), tmp_path / "two").embed(texts)
    assert used == [torch.device("cuda")]
    assert torch.equal(found, expected)
    assert found.device == CPU
