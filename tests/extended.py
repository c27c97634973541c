"""A copy of the project with the worked examples of docs/extending-*.md in it, exactly as they are printed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from modules import PACKAGE, ROOT

BLOCK = re.compile(r"^```(python|yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`(hmu_tasks/[\w/<>]+\.py)`")
ENTRY = re.compile(r'    "(\w+)": "[\w.:]+",\n')
TABLE = re.compile(r"(^[A-Z]+: dict\[str, str\] = \{\n.*?)(^\})", re.MULTILINE | re.DOTALL)
PARENTS = {2: r"^unlearn:\n", 4: r"^  base:\n"}
"""Line of params.yaml that a section goes below, by the indentation that the page prints it with."""
START = """
import sys
sys.path.append("tests")
import json
from pathlib import Path
from ruamel.yaml import YAML
from tiny_world import overlaid, tiny_params
"""


def project_copy(root: Path) -> None:
    """Copy what the steps and the tiny benchmark need."""
    for folder in (PACKAGE, ROOT / "tests"):
        shutil.copytree(folder, root / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "params.yaml", root)


def extend(root: Path, page: str) -> str:
    """Implement, register and configure as a page says; returns its YAML block, which is empty where there is none."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (name,) = ENTRY.findall(text)
    configured = ""
    for block in BLOCK.finditer(text):
        language, content = block.groups()
        place = root / FILE.findall(text[: block.start()])[-1].replace("<name>", name)
        if language == "yaml":
            configured = content
            _configure(root / "params.yaml", content)
        elif ENTRY.fullmatch(content):
            known = place.read_text(encoding="utf-8")
            registered, tables = TABLE.subn(lambda found, line=content: f"{found[1]}{line}{found[2]}", known)
            assert tables == 1
            place.write_text(registered, encoding="utf-8")
        else:
            assert not place.exists()
            place.write_text(content, encoding="utf-8")
    return configured


def _configure(params: Path, section: str) -> None:
    """Paste a section of params.yaml below its parent; whole keys are left to the script."""
    indentation = len(section) - len(section.lstrip(" "))
    if indentation:
        known = params.read_text(encoding="utf-8")
        parent = re.compile(PARENTS[indentation], re.MULTILINE)
        pasted, places = parent.subn(lambda found: found[0] + section, known)
        assert places == 1
        params.write_text(pasted, encoding="utf-8")


def run(script: str, root: Path) -> str:
    """Run a script in the extended copy and return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", START + script],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
