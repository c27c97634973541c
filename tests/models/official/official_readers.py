"""Made-up official checkpoints, their readers, and what the readers refuse."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from official_tree import (
    BAMM,
    DESCRIBED,
    EVALUATOR,
    LENGTH,
    MASK,
    RESIDUAL,
    RVQ,
    bamm,
    evaluator,
    length_estimator,
    mask_transformer,
    residual_transformer,
    tokenizer,
    write_official,
)
from torch import Tensor

from hmu_tasks.models.official import networks
from hmu_tasks.models.official.networks import Official, Upstream
from hmu_tasks.runtime.errors import WeightsError

UPSTREAM = Upstream(codes=24, code_width=8, quantizers=3, names=("rvq_tiny",), text_width=12)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_official(tmp_path_factory.mktemp("official"))


@pytest.fixture
def tree(pristine: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(pristine, tmp_path / "tree")


READERS: dict[str, tuple[Callable[[Path], Official], Callable[[], torch.nn.Module], str, str]] = {
    RVQ: (lambda root: networks.read_tokenizer(root / RVQ), tokenizer, "net_best_fid.tar", "net"),
    MASK: (
        lambda root: networks.read_mask_transformer(root / MASK, UPSTREAM),
        mask_transformer,
        "latest.tar",
        "t2m_transformer",
    ),
    RESIDUAL: (
        lambda root: networks.read_residual_transformer(root / RESIDUAL, UPSTREAM),
        residual_transformer,
        "net_best_fid.tar",
        "res_transformer",
    ),
    BAMM: (lambda root: networks.read_bamm(root / BAMM, UPSTREAM), bamm, "latest.tar", "trans"),
    LENGTH: (
        lambda root: networks.read_length_estimator(root / LENGTH),
        length_estimator,
        "finest.tar",
        "estimator",
    ),
    EVALUATOR: (
        lambda root: networks.read_evaluator(root / EVALUATOR, root / DESCRIBED),
        evaluator,
        "finest.tar",
        "movement_encoder",
    ),
}


def refusal(read: Callable[[], Any]) -> str:
    with pytest.raises(WeightsError) as caught:
        read()
    return str(caught.value)


def change(path: Path, part: str, edit: Callable[[dict[str, Tensor]], None]) -> None:
    content = torch.load(path, weights_only=True)
    edit(content[part])
    torch.save(content, path)


class Evil:
    """Writes a file when it is unpickled the ordinary way."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)
