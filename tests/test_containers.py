"""Dockerfile and compose.yaml without an engine: what a parser and the programs themselves can tell."""

import ast
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from prefect_settings import setting_names
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = YAML(typ="safe").load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
BIN = Path(sys.executable).parent


def instructions() -> list[tuple[str, str]]:
    """Parse the Dockerfile: (instruction, its text), continuation lines joined, comments left out."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#")).replace("\\\n", " ")
    found = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(word.upper(), rest) for word, rest in found]


def build_stages() -> dict[str, list[tuple[str, str]]]:
    stages: dict[str, list[tuple[str, str]]] = {}
    current = ""
    for word, rest in instructions():
        if word == "FROM":
            current = rest.split()[-1]
            stages[current] = []
        if current:
            stages[current].append((word, rest))
    return stages


@cache
def help_text(*command: str) -> str:
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "COLUMNS": "200", "NO_COLOR": "1"}
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:], "--help"],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    return done.stdout


def commands() -> list[list[str]]:
    images = [ast.literal_eval(rest) for word, rest in instructions() if word == "CMD"]
    return images + [service["command"] for service in SERVICES.values() if "command" in service]


def test_the_images_run_without_root() -> None:
    stages = build_stages()
    for final in ("worker", "server"):
        users = [rest for word, rest in stages[final] if word == "USER"]
        assert users == ["hmu"]
        words = [word for word, _ in stages[final]]
        assert words.index("USER") > max(index for index, word in enumerate(words) if word in {"RUN", "COPY"})


def test_every_image_is_pinned() -> None:
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    defaults = dict(rest.split("=", 1) for word, rest in instructions() if word == "ARG")
    resolved = {defaults["PYTHON_IMAGE"] if base == "${PYTHON_IMAGE}" else base for base in bases}
    for image in resolved - set(build_stages()):
        assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", image)
    for name, service in SERVICES.items():
        assert re.search(r":\d+\.\d+", service["image"]), name
        # A digest from .env takes the place of the tag, in each image that is built or pulled.
        if "build" in service:
            base = service["build"]["args"]["PYTHON_IMAGE"]
            assert base == f"${{PYTHON_IMAGE:-{defaults['PYTHON_IMAGE']}}}", name
        else:
            assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[a-z]+:[^}]+\}", service["image"]), name


def test_every_package_is_pinned() -> None:
    installs = [rest for word, rest in instructions() if word == "RUN" and "pip install" in rest]
    assert len(installs) == 3
    hashed, torch, ours = installs
    assert "--require-hashes --no-deps --requirement constraints.txt" in hashed
    assert torch.count("--requirement constraints-torch.txt") == 2
    assert "--no-deps" in ours
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    addresses = set(re.findall(r"https?://([^/\s]+)", text))
    assert addresses == {"download.pytorch.org"}
    assert re.search(r"ARG TORCH_INDEX=https://download\.pytorch\.org/whl/cpu$", text, re.MULTILINE)
    pins = "".join((ROOT / f"constraints{part}.txt").read_text(encoding="utf-8") for part in ("", "-torch"))
    assert re.search(r"^torch==[\d.]+$", pins, re.MULTILINE)  # no local tag: it has to fit CPU and CUDA
    assert "find-links" not in pins
    assert "index-url" not in pins


def test_what_is_copied_exists_and_is_let_through() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in ignore


def test_nothing_is_published_beyond_this_machine() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 3
    assert all(str(port).startswith("127.0.0.1:") for port in published)
    assert not any("network_mode" in service for service in SERVICES.values())
    assert not any(service.get("privileged") for service in SERVICES.values())


def test_every_service_has_a_health_check_that_compiles() -> None:
    for name, service in SERVICES.items():
        test = service["healthcheck"]["test"]
        assert test[0] in {"CMD", "CMD-SHELL"}, name
        if test[1] == "python":
            compile(test[3], name, "exec")
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[other]


def test_the_gpu_worker_is_asked_for() -> None:
    assert SERVICES["worker-gpu"]["profiles"] == ["gpu"]
    assert "/cu" in SERVICES["worker-gpu"]["build"]["args"]["TORCH_INDEX"]
    asked_for = {name for name, service in SERVICES.items() if "profiles" in service}
    assert asked_for == {"worker-gpu", "champion"}


def test_the_champion_is_served_where_it_is_asked_for() -> None:
    champion = SERVICES["champion"]
    assert champion["profiles"] == ["champion"]
    assert "models:/hmu-momask-synthetic-violence@champion" in champion["command"]


def test_secrets_come_from_the_environment() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    wanted = set(re.findall(r"\$\{(\w+):\?", text))
    example = dict(
        line.split("=", 1)
        for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    )
    assert wanted <= set(example)
    assert all(example[name] == "" for name in wanted)
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|AUTH_STRING", name):
                assert "${" in str(value), name
        assert "${" not in " ".join(service.get("command", []))  # visible to everybody in `ps`


@pytest.mark.slow
@pytest.mark.parametrize("command", commands(), ids=lambda command: " ".join(command[:3]))
def test_commands_exist_and_know_their_options(command: list[str]) -> None:
    if command[:2] == ["python", "-m"]:
        subprocess.run([sys.executable, "-m", command[2], "--help"], check=True, capture_output=True)
        return
    assert shutil.which(command[0], path=str(BIN))
    at = next(index for index, part in enumerate(command) if part.startswith("--"))
    known = set(re.findall(r"--[a-z][a-z-]*", help_text(*command[:at])))
    assert {part for part in command if part.startswith("--")} <= known


def test_settings_of_prefect_and_mlflow_exist() -> None:
    code = "import mlflow.environment_variables as v; print(*(n for n in dir(v) if n.startswith('MLFLOW_')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    known = setting_names() | set(done.stdout.split()) | {"MLFLOW_BACKEND_STORE_URI"}
    assert "--backend-store-uri" in help_text("mlflow", "server")
    used = {
        name
        for service in SERVICES.values()
        for name in service.get("environment", {})
        if name.startswith(("PREFECT_", "MLFLOW_")) and not name.endswith("_DATABASE_PASSWORD")
    }  # those are this file's own, for the database's roles
    assert len(used) > 10
    assert used <= known
