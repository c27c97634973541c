"""What clusters and containers vary: proxies, user ids without a name, no home folder, the system's Python."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.request import proxy_bypass_environment

import pytest
from requests.utils import should_bypass_proxies

from hmu_tasks.runtime import environment, interpreter
from hmu_tasks.runtime.environment import LOOPBACK, prepare

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "all_proxy"])
@pytest.mark.parametrize("given", [None, "", "example.org, .lab", "127.0.0.1"])
def test_loopback_is_never_asked_through_a_proxy(
    name: str, given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {name: "http://proxy.example:3128", "HOME": str(Path.home())}
    found |= {} if given is None else {"no_proxy": given}
    prepare(found)
    hosts = found["no_proxy"].split(",")
    assert set(LOOPBACK) <= set(hosts)
    assert len(hosts) == len(set(hosts))
    assert set(LOOPBACK) <= set(found["NO_PROXY"].split(","))
    assert not given or {part.strip() for part in given.split(",")} <= set(hosts)
    monkeypatch.setattr(os, "environ", found)
    assert should_bypass_proxies("http://127.0.0.1:5000", None)
    assert proxy_bypass_environment("localhost", {"no": found["no_proxy"]})
    assert not should_bypass_proxies("http://other.example", None)


def test_without_a_proxy_nothing_is_set() -> None:
    found = {"HOME": str(Path.home())}
    prepare(found)
    assert found == {"HOME": str(Path.home())}
    everything = {"http_proxy": "x", "no_proxy": "*", "NO_PROXY": "*", "HOME": str(Path.home())}
    prepare(everything)
    assert everything["no_proxy"] == "*"


def test_a_user_id_without_a_name_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_has_name", lambda user: False)
    found = {"HOME": str(Path.home())}
    prepare(found)
    assert found["LOGNAME"] == found["USER"] == f"uid-{os.getuid()}"
    named = {"HOME": str(Path.home()), "LOGNAME": "hmu"}
    prepare(named)
    assert named["LOGNAME"] == "hmu"


@pytest.mark.parametrize("home", [None, "", "/nonexistent", "/proc/self/fd"])
def test_a_home_that_cannot_be_written_is_replaced(
    home: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).is_relative_to(tmp_path))
    found = {} if home is None else {"HOME": home}
    prepare(found)
    assert Path(found["HOME"]).parent == tmp_path
    assert Path(found["HOME"]).stat().st_mode & 0o777 == 0o700


def test_a_python_without_the_libraries_hands_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout whose .venv is this Python, started with one that has no libraries (-S: no site-packages)."""
    assert interpreter.needed() is None
    package = tmp_path / "package" / "hmu_tasks" / "runtime"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "interpreter.py").write_text((ROOT / "hmu_tasks/runtime/interpreter.py").read_text())
    (package.parent / "__main__.py").write_text("import hmu_tasks.runtime.interpreter\nimport typer\n")
    own = tmp_path / "package" / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    # Without -S, which the command keeps: what matters is that this Python is asked.
    own.write_text('#!/bin/sh\necho handed over: "$@" $PATH\n')
    own.chmod(0o755)
    done = subprocess.run(
        [os.path.realpath(sys.executable), "-S", "-m", "hmu_tasks", "filter"],
        cwd=tmp_path / "package",
        env={"PATH": "/usr/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"handed over: -S -m hmu_tasks filter {own.parent}:/usr/bin\n", done.stderr
