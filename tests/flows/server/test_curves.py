"""The curves of a long training, as an artifact of its flow run."""

import sys
from pathlib import Path

from lab import Lab
from toy_project import Project

from flows.engine.curves import as_tables, live_file, read_points
from hmu_tasks.runtime import paths

# Two points at once and one more later, as a training would append them; shown from the first second on.
FLOW = """
import os, sys, time
os.environ["PREFECT_API_URL"] = sys.argv[1]
from pathlib import Path
from prefect import flow
from flows.engine import curves
from flows.engine.graph import Stage
curves.AFTER_SECONDS, curves.SECONDS_BETWEEN = 0.5, 0.5
file = curves.live_file(Path(), "train-base@momask-full-0")

@flow(name="curves")
def training():
    file.parent.mkdir(parents=True)
    file.write_text("step,name,value\\n9,loss,9\\n")
    with curves.live_curves(Stage("train-base@momask-full-0", ()), Path(), warn=print):
        time.sleep(1.5)
        with file.open("a") as stream:
            stream.write("10,loss,0.5\\n10,accuracy,0.25\\n")
        time.sleep(2)
        with file.open("a") as stream:
            stream.write("20,loss,0.125\\n30,lo")
        time.sleep(2)

training()
"""


def test_the_file_is_the_one_of_the_component() -> None:
    files = {
        "train-text@0": "text-0",
        "train-evaluator": "evaluator",
        "train-tokenizer@full-0": "tokenizer-full-0",
        "train-base@momask-retrain-0": "base-momask-retrain-0",
    }
    for stage, component in files.items():
        assert live_file(Path("root"), stage) == Path("root") / paths.LIVE / f"{component}.csv"


def test_a_line_still_being_written_is_left_out() -> None:
    assert read_points("step,name,value\n1,loss,0.5\n2,lo") == [("1", "loss", "0.5")]
    assert read_points("step,na") == read_points("") == []


def test_latest_values_and_last_points() -> None:
    points = [(str(step), name, f"{step}.5") for step in range(30) for name in ("loss", "r1")]
    text = as_tables(points)
    assert "| loss | 29 | 29.5 |\n| r1 | 29 | 29.5 |" in text
    assert "The last 20 points:" in text
    rows = text.splitlines()[-20:]
    assert (rows[0], rows[-1]) == ("| 29 | r1 | 29.5 |", "| 20 | loss | 20.5 |")


def test_a_long_training_shows_its_curves_while_it_runs(project: Project, lab: Lab) -> None:
    project.command(sys.executable, "-c", FLOW, lab.url)
    artifacts = lab.artifacts(lab.runs_of("curves")[0]["id"])
    assert set(artifacts) == {"curves-train-base-momask-full-0"}  # one, updated
    text = artifacts["curves-train-base-momask-full-0"]
    assert "| loss | 20 | 0.125 |\n| accuracy | 10 | 0.25 |" in text
