"""A finished DVC project of three stages, each a line of Python, for tests of what DVC records."""

import subprocess
import sys
from pathlib import Path

STEP = """
import pathlib, sys
place = pathlib.Path(sys.argv[2])
place.parent.mkdir(parents=True, exist_ok=True)
place.write_text({"ingest": "clips", "probe": '{"upper": 0.67}', "report": "page"}[sys.argv[1]])
"""
STAGES = """
stages:
  ingest:
    cmd: python code/probe.py ingest data/clips.txt
    deps: [code]
    outs: [data/clips.txt]
  probe:
    cmd: python code/probe.py probe runs/probe/probe.json
    deps: [data/clips.txt, code]
    params: [rate]
    outs: [runs/probe]
  report:
    cmd: python code/probe.py report reports/index.html
    deps: [runs/probe]
    outs: [reports]
"""


def made_by_dvc(root: Path) -> Path:
    """Write the project into a folder and let DVC run it."""
    (root / "code").mkdir()
    (root / "code" / "probe.py").write_text(STEP, encoding="utf-8")
    (root / "dvc.yaml").write_text(STAGES.replace("python", sys.executable), encoding="utf-8")
    (root / "params.yaml").write_text("rate: 1\n", encoding="utf-8")
    for command in (["init", "--no-scm", "-q"], ["repro", "-q"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=root, check=True)
    return root
