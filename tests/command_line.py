"""A project's folder, commands in it, and a small raw dataset, for tests of the command line."""

import io
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from forked import run_forked
from ruamel.yaml import YAML

# What the steps import, so that a fork of this process has it.
import hmu_tasks.codebook
import hmu_tasks.evaluate
import hmu_tasks.filter
import hmu_tasks.ingest
import hmu_tasks.report
import hmu_tasks.train
import hmu_tasks.unlearn
import hmu_tasks.validate  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent
FRAMES = 60


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "100", "NO_COLOR": "1"}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m hmu_tasks …` in a folder."""
    return run_forked(folder, list(arguments), environment())


def started(folder: Path, *arguments: str, through: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Start `python -m hmu_tasks …` in a folder as a program; `through`: the command line that starts it."""
    command = [*through, sys.executable, "-m", "hmu_tasks", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=120
    )


def error(done: subprocess.CompletedProcess[str]) -> str:
    """The one message of a failed command."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1
    return done.stderr.partition("error: ")[2].strip()


def change(folder: Path, **values: object) -> None:
    """Set knobs of the folder's params.yaml: `run__seed=3`."""
    file = folder / "params.yaml"
    file.write_text(_changed(file.read_text(encoding="utf-8"), json.dumps(values)), encoding="utf-8")


@cache  # many tests begin with the same changes
def _changed(text: str, values: str) -> str:
    yaml = YAML()
    content = yaml.load(text)
    for key, value in json.loads(values).items():
        inner = content
        *path, last = key.split("__")
        for part in path:
            inner = inner[part]
        inner[last] = value
    stream = io.StringIO()
    yaml.dump(content, stream)
    return stream.getvalue()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A working folder without any data, tracking off."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    change(tmp_path, run__track=False, run__device="cpu")
    return tmp_path


@pytest.fixture
def raw(project: Path) -> Path:
    """A small raw folder in HumanML3D's layout: eight training clips, four for validation, four for test."""
    folder = project / "data" / "raw" / "humanml3d"
    for name in ("new_joint_vecs", "texts"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(5)
    clips = [f"{number:06d}" for number in range(16)]
    for number, clip in enumerate(clips):
        np.save(folder / "new_joint_vecs" / f"{clip}.npy", rng.normal(size=(FRAMES, 263)).astype(np.float32))
        told = (
            "a man kicks#a/DET man/NOUN kick/VERB" if number % 2 else "a man walks#a/DET man/NOUN walk/VERB"
        )
        (folder / "texts" / f"{clip}.txt").write_text(f"{told}#0.0#0.0\n", encoding="utf-8")
    for name, ids in (("train", clips[:8]), ("val", clips[8:12]), ("test", clips[12:])):
        (folder / f"{name}.txt").write_text("\n".join(ids) + "\n", encoding="utf-8")
    change(project, run__dataset="humanml3d", ingest__source="data/raw/humanml3d")
    change(project, probe__relearning__shots=[2], probe__relearning__safe_shots=2)
    return folder


def earlier(project: Path) -> dict[str, bytes]:
    """Put down what an earlier ingest may have finished."""
    (project / "data" / "clips").mkdir()
    (project / "data" / "clips" / "ingest.json").write_text("{}\n", encoding="utf-8")
    return contents(project / "data" / "clips")


def contents(folder: Path) -> dict[str, bytes]:
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
