"""The folder mlflow/ never stands in the way of the installed package."""

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_it_holds_no_python() -> None:
    assert list((ROOT / "mlflow").rglob("*.py")) == []


@pytest.mark.parametrize("how", ["-c", "-m"])
def test_the_installed_package_wins_from_the_root(how: str) -> None:
    code = "import importlib.util; print(importlib.util.find_spec('mlflow').origin)"
    command = ["-c", code] if how == "-c" else ["-m", "mlflow", "--version"]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ("site-packages" in done.stdout) if how == "-c" else ("version 3." in done.stdout)


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
def test_the_project_file_parses() -> None:
    from mlflow.projects._project_spec import load_project

    project = load_project(str(ROOT / "mlflow"))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in ("main", "repro", "table"):
        target = project.get_entry_point(name).command.split()
        assert target[:3] == ["make", "-C", ".."]
        assert f"\n{target[3]}:" in makefile


def test_authentication_settings_hold_no_secret() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "mlflow" / "basic_auth.ini")
    assert settings["mlflow"]["default_permission"] == "NO_PERMISSIONS"
    assert "admin_password" not in settings["mlflow"]
