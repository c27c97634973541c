"""The command `mirror`: quick without news, quiet, and once where several run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mirrored_project import root
from written_project import Written, children_of

from hmu_tasks.tracking import mirror

__all__ = ["root"]
# MLflow 3.17 declares a mapper in a way that SQLAlchemy 2.1 announces to drop.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
SOURCE = Path(__file__).resolve().parents[2]


def test_in_a_clone_without_outputs_every_step_is_skipped(root: Path) -> None:
    project = Written(root)
    project.tokenizer()
    project.evaluation()
    project.stage("unlearn@momask-lcr-0", "unlearn momask lcr --training 0", "runs/unlearn/0/momask/lcr", {})
    project.stage(
        "unlearn@momask-npo-0",
        "unlearn momask npo --training 0",
        "runs/unlearn/0/momask/npo",
        {"s0/edit.json": "{}"},
    )
    shutil.rmtree(root / "runs")
    shutil.rmtree(root / "data")
    (root / "runs/unlearn/0/momask/npo").mkdir(parents=True)  # a folder whose files are not here
    done = subprocess.run(
        [sys.executable, "-m", "hmu_tasks", "mirror"],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "5 steps skipped: no output here, or not the one of dvc.lock\n"
    project.tokenizer()
    assert mirror.run() == mirror.Outcome(written=2, skipped=3)


def test_without_news_the_command_is_quick_and_does_not_load_mlflow(root: Path) -> None:
    Written(root).tokenizer()
    mirror.run()
    code = (
        "import resource, runpy, sys\n"
        "sys.argv = ['hmu', 'mirror']\n"
        "try:\n"
        "    runpy.run_module('hmu_tasks', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "heavy = {'mlflow', 'torch', 'numpy', 'pandas', 'ruamel'} & set(sys.modules)\n"
        "print(sorted(heavy), used.ru_utime + used.ru_stime)\n"
    )
    seconds = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONPATH": str(SOURCE)},
            capture_output=True,
            text=True,
            check=True,
        )
        loaded, _, used = done.stdout.rpartition(" ")
        assert loaded == "[]"
        seconds.append(float(used))
    assert min(seconds) < 0.5


@pytest.mark.slow
def test_mirrors_at_once_write_once(root: Path) -> None:
    project = Written(root)
    project.tokenizer()
    project.evaluation()
    command = [sys.executable, "-m", "hmu_tasks", "mirror"]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert sorted(output for output, _ in outputs) == ["", "", "3 new runs in MLflow\n"]
    assert {error for _, error in outputs} == {""}  # quiet: no chatter of alembic or MLflow
    assert len(children_of(root)) == 3
