"""The command line as a user meets it: help, unknown names, missing inputs; no tracebacks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ROOT, change, error, project, run, started

from hmu_tasks.methods import METHODS
from hmu_tasks.metrics.records import ENDS

__all__ = ["project"]
COMMANDS = (
    "ingest",
    "filter",
    "validate",
    "train",
    "codebook",
    "unlearn",
    "evaluate",
    "probe",
    "report",
    "mirror",
    "table",
    "preset",
)


def test_help_is_quick_and_light(tmp_path: Path) -> None:
    code = (
        "import resource, runpy, sys\n"
        "sys.argv = ['hmu', '--help']\n"
        "try:\n"
        "    runpy.run_module('hmu_tasks', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        "heavy = {'torch', 'mlflow', 'numpy', 'pandas', 'prefect', 'dvc', 'great_expectations', 'matplotlib'}\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print('loaded', sorted(heavy & set(sys.modules)), used.ru_utime + used.ru_stime)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    seconds = []
    for _ in range(3):  # the first start may compile
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        last = done.stdout.splitlines()[-1]
        assert last.startswith("loaded [] ")
        seconds.append(float(last.split()[-1]))
    assert min(seconds) < 0.5
    for command in COMMANDS:
        assert f" {command} " in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help(tmp_path: Path, command: str) -> None:
    done = run(tmp_path, command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"hmu_tasks {command}" in done.stdout


def test_an_unknown_command_is_refused(tmp_path: Path) -> None:
    done = started(tmp_path, "trian")
    assert done.returncode == 2
    assert "No such command 'trian'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["train", "tokeniser", "full"],
            "unknown component 'tokeniser'; choose one of text, evaluator, tokenizer",
        ),
        (["train", "tokenizer", "all"], "unknown variant 'all'; choose one of full, retrain"),
        (["train", "tokenizer"], "component 'tokenizer' needs a variant; choose one of full, retrain"),
        (["train", "text", "full"], "component 'text' has no variants"),
        (["unlearn", "momask", "lrc"], "unknown method 'lrc'; choose one of original, retrain, lcr"),
        (["unlearn", "mamask", "original"], "unknown model 'mamask'; choose one of momask"),
        (["evaluate", "momask", "lrc"], "unknown method 'lrc'; choose one of original, retrain, lcr"),
        (["evaluate", "mamask", "lcr"], "unknown model 'mamask'; choose one of momask"),
        (["preset", "fast"], "unknown preset 'fast'; choose one of "),
    ],
)
def test_unknown_names_list_the_choices(project: Path, arguments: list[str], expected: str) -> None:
    message = error(run(project, *arguments))
    assert expected in message
    assert len(message.splitlines()) == 1
    assert sorted(path.name for path in project.iterdir()) == ["params.yaml"]


@pytest.mark.parametrize("command", ["ingest", "filter", "codebook", "report"])
def test_without_params_yaml(tmp_path: Path, command: str) -> None:
    assert error(run(tmp_path, command)) == "params.yaml is missing; run from the project's root folder"


def test_help_names_the_methods(tmp_path: Path) -> None:
    text = " ".join(run(tmp_path, "unlearn", "--help").stdout.replace("│", " ").split())
    assert ", ".join((*ENDS, *METHODS)) in text


def test_a_wrong_key_is_said_with_its_path(project: Path) -> None:
    change(project, unlearn__lcr__cods=3)
    message = error(run(project, "ingest"))
    assert "unlearn.lcr.cods: unknown key; allowed here: strengths, seeds, layers" in message


@pytest.mark.parametrize(
    "arguments",
    [["filter"], ["validate"], ["train", "tokenizer", "full"], ["codebook"], ["evaluate", "real", "real"]],
)
def test_without_the_packed_clips(project: Path, arguments: list[str]) -> None:
    message = error(run(project, *arguments))
    assert "is missing" in message
    assert "run" in message


@pytest.mark.parametrize(
    "arguments", [["unlearn", "momask", "original"], ["unlearn", "momask", "lcr"], ["report"], ["table"]]
)
def test_without_the_steps_before(project: Path, arguments: list[str]) -> None:
    message = error(run(project, *arguments))
    assert "runs/" in message or "reports/" in message
    assert "run" in message


def test_the_table_needs_a_report(project: Path) -> None:
    assert "reports/summary.txt is missing; run `make repro`" in error(run(project, "table"))


def test_a_preset_changes_params_yaml(project: Path) -> None:
    assert run(project, "preset", "smoke").returncode == 0
    assert "clips: 400" in (project / "params.yaml").read_text(encoding="utf-8")
