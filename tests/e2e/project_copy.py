"""A copy of the project that is run as a user runs it, at toy size, without sharing anything with the original."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from ruamel.yaml import YAML
from running import CHILDREN, processes_in

ORIGINAL = Path(__file__).resolve().parents[2]
ENVIRONMENT = Path(sys.prefix)
OUTPUTS = ("data", "runs", "reports")
FOREIGN = ("DVC_", "GIT_", "HMU_", "MAKE", "MFLAGS", "MLFLOW_", "PREFECT_", "PYTEST_", "PYTHONPATH")

# On top of the preset `smoke`: seconds of training, meaningless metrics.
TINY: dict[str, Any] = {
    "ingest": {"synthetic": {"clips": 120, "val": 32, "test": 40, "forget_share": 0.2}},
    "train": {
        "text": {"width": 32, "word_width": 32, "steps": 10, "batch": 32},
        "evaluator": {
            "movement_width": 32,
            "motion_hidden": 32,
            "text_hidden": 32,
            "width": 32,
            "steps": 10,
            "batch": 32,
        },
        "tokenizer": {"width": 32, "code_width": 16, "codes": 32, "quantizers": 2, "steps": 100, "batch": 16},
        "base": {
            name: {"latent": 32, "layers": 1, "feedforward": 64, "steps": 20, "batch": 16}
            for name in ("momask", "bamm")
        },
        "residual": {"latent": 32, "feedforward": 64, "steps": 10, "batch": 16},
        "classifier": {
            "negatives": 8,
            "resampled": 8,
            "convolution": {"width": 32, "steps": 20, "batch": 16},
            "recurrent": {"width": 16, "steps": 20, "batch": 16},
        },
    },
    "unlearn": {"lcr": {"strengths": [2, 4], "seeds": [0], "layers": [0, 1]}},
    "evaluate": {
        "retrieval_batch": 8,
        "diversity_pairs": 10,
        "multimodality": {"prompts": 3, "samples": 3, "pairs": 2},
        "sampling": {"steps": 3},
        "samples": {"forget": 1, "retain": 1, "disputed": 1},
    },
    "probe": {
        "prompts": 4,
        "costly_prompts": 3,
        "embedding": {"steps": 2},
        "relearning": {"shots": [2], "steps": [2], "batch": 2},
    },
}


@dataclass(frozen=True)
class Project:
    """A project folder with an environment of its own in front of PATH."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        return inherited | {
            "PATH": f"{self.root / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "DVC_SITE_CACHE_DIR": str(self.root / ".dvc" / "tmp" / "site"),
            "HMU_SIGNING_KEY": str(self.root / ".dvc" / "tmp" / "signing-key.pem"),
            # Toy networks gain nothing from threads, and threads that wait for each other lose much on a busy machine.
            "OMP_NUM_THREADS": "1",
            # Trainings of seconds leave checkpoints on the way.
            "HMU_CHECKPOINT_SECONDS": "0.2",
            "PYTHONPATH": CHILDREN,
        }

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command as leader of a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *command: str, seconds: float = 1500) -> tuple[int, str]:
        """Run a command to its end; returns its exit status and all that it printed."""
        process = self.start(*command)
        try:
            output, _ = process.communicate(timeout=seconds)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, output

    def good(self, *command: str) -> str:
        """Run a command that must succeed; returns what it printed."""
        status, output = self.run(*command)
        assert status == 0, f"{' '.join(command)} ended with {status}:\n{output[-6000:]}"
        return output

    def kill_when(
        self, condition: Callable[[], bool], *command: str, every: float = 0.02, seconds: float = 900
    ) -> str:
        """Start a command, SIGKILL its whole process group as soon as `condition` holds; returns its output.

        every: seconds between two looks
        """
        process = self.start(*command)
        deadline = time.monotonic() + seconds
        try:
            while not condition():
                assert process.poll() is None, f"ended before it could be killed:\n{process.stdout.read()}"
                assert time.monotonic() < deadline, "the moment to kill never came"
                time.sleep(every)
        finally:
            with contextlib.suppress(
                ProcessLookupError
            ):  # it ended by itself, which the assertion above says
                os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        self.nothing_runs()
        return output

    def nothing_runs(self, seconds: float = 20) -> None:
        """Wait until no process works in this folder any more."""
        deadline = time.monotonic() + seconds
        while left := self.processes():
            assert time.monotonic() < deadline, left
            time.sleep(0.05)

    def processes(self) -> list[psutil.Process]:
        return processes_in(self.root)

    def change(self, overlay: Mapping[str, Any]) -> None:
        """Overlay keys of params.yaml, which must be there already."""
        path = self.root / "params.yaml"
        yaml = YAML()
        values = yaml.load(path.read_text(encoding="utf-8"))
        _overlay(values, overlay)
        with path.open("w", encoding="utf-8") as file:
            yaml.dump(values, file)

    def digests(self) -> dict[str, str]:
        """Path -> md5 of every output in dvc.lock."""
        lock = YAML(typ="safe").load((self.root / "dvc.lock").read_text(encoding="utf-8"))
        return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}

    def stages(self) -> list[str]:
        return self.good("dvc", "stage", "list", "--name-only").split()

    def temporary(self) -> list[str]:
        """Hidden, half-written or scratch files that no finished run leaves behind."""
        found = [
            path.relative_to(self.root).as_posix()
            for folder in OUTPUTS
            for path in (self.root / folder).rglob("*")
            if (path.name.startswith(".") or path.suffix == ".partial") and path.name != ".gitignore"
        ]
        scratch = self.root / "runs" / "side" / "scratch"
        return found + [path.name for path in (scratch.iterdir() if scratch.exists() else ())]

    def branch(self, target: Path) -> "Project":
        """Copy the folder with all results, cache and records to `target`."""
        shutil.copytree(self.root, target, symlinks=True)
        return Project(target)


@dataclass(frozen=True)
class Finished:
    """A project after an undisturbed `make repro`: what was printed, how long it took, digests of its outputs."""

    project: Project
    output: str
    seconds: float
    digests: dict[str, str]


def executed(output: str) -> list[str]:
    """Names of the stages that DVC says it ran."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")]


def make_project(root: Path, overlay: Mapping[str, Any] | None = None, *, source: Path = ORIGINAL) -> Project:
    """Copy what git knows or would add in `source`, commit it, link the environment, shrink params.yaml to toy size.

    A further copy to be compared is taken from the first, so that an edit meanwhile makes no difference.
    """
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=source,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        file, target = source / name, root / name
        if file.is_file() and name != "dvc.lock" and not name.startswith("tests/"):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
    _link_environment(root / ".venv")
    project = Project(root)
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    for command in (("init", "--quiet"), ("add", "--all"), (*who, "commit", "--quiet", "--message", "copy")):
        project.good("git", *command)
    project.good("python", "-m", "hmu_tasks", "preset", "smoke")
    project.change(TINY)
    if overlay:
        project.change(overlay)
    return project


def _link_environment(target: Path) -> None:
    """Make a virtual environment of links, with the mark that tells make that nothing is to be installed."""
    (target / "bin").mkdir(parents=True)
    for program in (ENVIRONMENT / "bin").iterdir():
        (target / "bin" / program.name).symlink_to(program)
    for name in ("lib", "include"):
        if (ENVIRONMENT / name).exists():
            (target / name).symlink_to(ENVIRONMENT / name)
    shutil.copy(ENVIRONMENT / "pyvenv.cfg", target / "pyvenv.cfg")
    mark = target / "bin" / ".installed"
    mark.unlink(missing_ok=True)
    mark.touch()


def _overlay(values: Any, changes: Mapping[str, Any]) -> None:
    for key, change in changes.items():
        assert key in values, key
        if isinstance(change, Mapping):
            _overlay(values[key], change)
        else:
            values[key] = change
