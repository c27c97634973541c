"""A small DVC project whose stages write down that they ran."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from running import processes_in

# A training stage counts to five in its scratch folder, so that what was done before a kill can be told from what
# came after; its bar looks like tqdm's. Flags in the side folder slow it down, let it wait for the other training, or
# make it fail.
STEP = r"""
import json, os, pathlib, re, sys, time
name = sys.argv[1]
side = pathlib.Path(os.environ.get("TOY_SIDE", "side"))
def flag(kind):
    at = side / kind
    return at.read_text() if at.exists() else None
def log(what, *more):
    with open(side / "log.txt", "a") as file:
        file.write("|".join([what, *more]) + "\n")
log(name, os.environ.get("HMU_PIPELINE", ""), os.environ.get("CUDA_VISIBLE_DEVICES", "unset"), os.getcwd())
rate = re.search(r"rate: (\S+)", pathlib.Path("params.yaml").read_text()).group(1)
print("password is", os.environ.get("TOY_PASSWORD", "none"))
if flag(f"fail-{name}") is not None:
    sys.exit(f"{name} is broken on purpose")
if name == "prepare":
    time.sleep(float(flag("slow-prepare") or 0))
if name.startswith("train"):
    deadline = time.monotonic() + float(flag("together") or 0)
    def begun():
        return {line.split("|")[0] for line in (side / "log.txt").read_text().splitlines()}
    while time.monotonic() < deadline and not {"train-a", "train-b"} <= begun():
        time.sleep(0.05)
    checkpoint = pathlib.Path("runs/side/scratch") / name / "checkpoint"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    if done:
        log(f"{name} from {done}")
    while done < 5:
        sys.stderr.write(f"\r{name}: {20 * done:3d}%|####      | {done}/5")
        sys.stderr.flush()
        time.sleep(float(flag("slow") or 0) / 5)
        done += 1
        checkpoint.write_text(str(done))
    sys.stderr.write("\n")
if flag(f"contract-{name}"):
    at = pathlib.Path("runs/side/validation")
    at.mkdir(parents=True, exist_ok=True)
    broken = {"contract": "feet touch the floor", "column": "feet", "unexpected": 2, "observed": None,
              "clips": ["clip-000007", "clip-000013"], "success": False}
    held = dict(broken, contract="frames", success=True, clips=[])
    (at / "validation.json").write_text(json.dumps({"suites": [{"name": "clips", "contracts": [held, broken]}]}))
    sys.exit("error: 1 of 2 data contracts are broken")
pathlib.Path("out").mkdir(exist_ok=True)
text = "".join(pathlib.Path(at).read_text() for at in sys.argv[2:]) + name
# What is trained depends on the machine's floating point.
trained = f"({rate}{os.environ.get('TOY_MACHINE', '')})" if name.startswith("train") else ""
pathlib.Path(f"out/{name}").write_text(text + trained)
if name.startswith("train"):
    checkpoint.unlink()
if name == "report":
    pathlib.Path("reports").mkdir(exist_ok=True)
    record = {"model": "momask", "method": "lcr", "strength": 8, "split": "forget", "metric": "fid"}
    record |= {"mean": float(rate), "low": None, "high": None, "n": 4}
    pathlib.Path("reports/benchmark.json").write_text(json.dumps([record, dict(record, split="forget-val")]))
    pathlib.Path("reports/index.html").write_text("page")
"""

GRAPH = """
stages:
  report:
    cmd: {python} step.py report out/unlearn-a out/unlearn-b
    deps: [out/unlearn-a, out/unlearn-b]
    params: [train.rate]
    outs: [out/report, reports]
  prepare:
    cmd: {python} step.py prepare
    deps: [step.py]
    outs: [out/prepare]
  train:
    matrix: {{cell: [a, b]}}
    cmd: {python} step.py train-${{item.cell}} out/prepare
    deps: [out/prepare]
    params: [train.rate]
    outs: ["out/train-${{item.cell}}"]
    meta: {{resource: gpu}}
  unlearn:
    matrix: {{cell: [a, b]}}
    cmd: {python} step.py unlearn-${{item.cell}} out/train-${{item.cell}}
    deps: ["out/train-${{item.cell}}"]
    outs: ["out/unlearn-${{item.cell}}"]
"""

PARAMS = """\
# A comment that stays.
run:
  concept: violence
  seed: 0
train:
  rate: 1
"""

STAGES = ["prepare", "train@a", "train@b", "unlearn@a", "unlearn@b", "report"]


@dataclass(frozen=True)
class Project:
    """A checkout of the toy project; `side` is where its stages write that they ran."""

    root: Path
    environment: dict[str, str]

    @property
    def side(self) -> Path:
        return Path(self.environment["TOY_SIDE"])

    def flow(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return self.start("flows.pipeline", *arguments, **environment)

    def start(
        self, module: str, *arguments: str, group: bool = False, **environment: str
    ) -> subprocess.Popen[str]:
        """Start a module of ours; `group`: as leader of a process group, as a shell does."""
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=self.root,
            env=self.environment | environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=group,
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        process = self.flow(*arguments, **environment)
        output, _ = process.communicate(timeout=600)
        return process.returncode, output

    def command(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.root, capture_output=True, text=True, check=False, env=self.environment
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def dvc(self, *arguments: str) -> str:
        return self.command(sys.executable, "-m", "dvc", *arguments)

    def git(self, *arguments: str) -> str:
        return self.command("git", *arguments).strip()

    def clone(self, root: Path) -> "Project":
        self.git("clone", "-q", str(self.root), str(root))
        return Project(root, self.environment)

    def log(self) -> list[list[str]]:
        """One line per executed stage: name, pipeline key, visible devices, folder."""
        path = self.side / "log.txt"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [line.split("|") for line in lines]

    def executed(self) -> list[str]:
        return [line[0] for line in self.log()]

    def forget_log(self) -> None:
        (self.side / "log.txt").unlink(missing_ok=True)

    def flag(self, name: str, text: str = "yes") -> None:
        (self.side / name).write_text(text, encoding="utf-8")

    def clear(self) -> None:
        """Take every flag and the log away."""
        shutil.rmtree(self.side)
        self.side.mkdir()

    def experiments(self) -> dict[str, Any]:
        """What `dvc exp show` lists upon the present commit, by name."""
        listing = json.loads(self.dvc("exp", "show", "--json"))
        found = [one for line in listing for one in (line["experiments"] or [])]
        return {one["name"]: one["revs"][0]["data"] for one in found}

    def processes(self) -> list[psutil.Process]:
        """Everything that runs in this project: stages, DVC, guards, servers."""
        return processes_in(self.root)
