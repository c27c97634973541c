"""A small DVC project whose stages write down that they ran."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

STEP = """
import os, pathlib, sys, time
name = sys.argv[1]
record = (name, os.environ.get("HMU_PIPELINE_RUN", ""), os.environ.get("CUDA_VISIBLE_DEVICES", "unset"))
with open("side/log.txt", "a") as log:
    log.write("|".join(record) + "\\n")
if pathlib.Path("side/slow").exists() and name.startswith("train"):
    time.sleep(float(pathlib.Path("side/slow").read_text()))
if pathlib.Path(f"side/fail-{name}").exists():
    sys.exit(f"{name} is broken on purpose")
pathlib.Path(f"out/{name}").write_text("".join(pathlib.Path(at).read_text() for at in sys.argv[2:]) + name)
"""

GRAPH = """
stages:
  report:
    cmd: {python} step.py report out/unlearn-a out/unlearn-b
    deps: [out/unlearn-a, out/unlearn-b]
    outs: [out/report]
  prepare:
    cmd: {python} step.py prepare
    deps: [step.py]
    outs: [out/prepare]
  train:
    matrix: {{cell: [a, b]}}
    cmd: {python} step.py train-${{item.cell}} out/prepare
    deps: [out/prepare]
    outs: ["out/train-${{item.cell}}"]
    meta: {{resource: gpu}}
  unlearn:
    matrix: {{cell: [a, b]}}
    cmd: {python} step.py unlearn-${{item.cell}} out/train-${{item.cell}}
    deps: ["out/train-${{item.cell}}"]
    outs: ["out/unlearn-${{item.cell}}"]
"""

STAGES = ["prepare", "train@a", "train@b", "unlearn@a", "unlearn@b", "report"]


@dataclass(frozen=True)
class Project:
    root: Path
    environment: dict[str, str]

    def flow(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.pipeline", *arguments],
            cwd=self.root,
            env=self.environment | environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        process = self.flow(*arguments, **environment)
        output, _ = process.communicate(timeout=180)
        return process.returncode, output

    def dvc(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def log(self) -> list[list[str]]:
        """One line per executed stage: name, pipeline key, visible devices."""
        path = self.root / "side" / "log.txt"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [line.split("|") for line in lines]

    def executed(self) -> list[str]:
        return [line[0] for line in self.log()]

    def forget_log(self) -> None:
        (self.root / "side" / "log.txt").unlink(missing_ok=True)

    def processes(self) -> list[psutil.Process]:
        """Everything that runs in this project: stages, DVC, guards, servers."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and Path(process.cwd()).is_relative_to(self.root):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
                continue
        return found
