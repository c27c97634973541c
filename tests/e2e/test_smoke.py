"""The whole pipeline from a fresh copy, then again, then with one strength changed, by DVC and by the flow."""

import json
import re
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from project_copy import Finished, Project, executed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def runs(project: Project) -> list[dict[str, Any]]:
    """Every run of the MLflow store with its tags, oldest first."""
    with closing(sqlite3.connect(project.root / "runs" / "side" / "mlflow" / "mlflow.db")) as store:
        rows = store.execute("SELECT run_uuid, name, status FROM runs ORDER BY start_time").fetchall()
        tags: dict[str, dict[str, str]] = {}
        for key, value, run in store.execute("SELECT key, value, run_uuid FROM tags"):
            tags.setdefault(run, {})[key] = value
    return [{"id": run, "name": name, "status": status, "tags": tags[run]} for run, name, status in rows]


def parents(project: Project) -> list[dict[str, Any]]:
    return [run for run in runs(project) if "hmu.pipeline" in run["tags"]]


def children(project: Project, parent: dict[str, Any]) -> list[dict[str, Any]]:
    return [run for run in runs(project) if run["tags"].get("mlflow.parentRunId") == parent["id"]]


def test_everything_runs_to_the_report_and_prints_the_table(finished: Finished) -> None:
    root = finished.project.root
    assert Counter(executed(finished.output)) == Counter(finished.project.stages())
    assert "\nReport: file:///" in finished.output
    assert finished.project.temporary() == []
    assert Counter(path.name for path in (root / "reports").iterdir()) >= Counter(
        [
            "benchmark.csv",
            "benchmark.json",
            "benchmark.md",
            "index.html",
            "summary.txt",
            "tables.txt",
            "plots",
            "gifs",
        ]
    )
    assert len(list((root / "reports" / "gifs").glob("*.gif"))) > 0


def test_again_nothing_runs_and_the_table_is_printed(finished: Finished) -> None:
    started = time.monotonic()
    output = finished.project.good("make", "repro")
    assert executed(output) == []
    table = finished.project.good("python", "-m", "hmu_tasks", "table")
    reports = finished.project.root / "reports"
    assert table == (reports / "summary.txt").read_text(encoding="utf-8") + (
        f"All tables: python -m hmu_tasks table --all\nReport: {(reports / 'index.html').as_uri()}\n"
    )
    assert output.endswith(table)
    assert len(table.splitlines()) <= 25
    assert max(len(line) for line in table.splitlines()[:-1]) <= 100
    assert re.search(r"^original +", table, re.MULTILINE)
    assert time.monotonic() - started < finished.seconds


def test_the_table_has_a_row_for_all_that_is_compared(finished: Finished) -> None:
    table = pd.read_csv(finished.project.root / "reports" / "benchmark.csv")
    data = {"real", "fresh-real", "reconstruction-full", "reconstruction-retrain", "resampled"}
    assert set(table["method"]) == data | {"original", "retrain", "lcr"}
    assert set(table["split"]) >= {"forget", "retain", "explicit", "implicit", "benign", "hard_benign"}
    assert table[["mean", "n"]].notna().all(axis=None)
    assert table[~table["metric"].str.endswith("ncs_rank_median")][["low", "high"]].notna().all(axis=None)
    rates = table[table["metric"].isin(["violence_corrected", "violence", "gap_closure:violence"])]
    assert (rates["high"] <= 1).all()
    assert (rates[rates["metric"] != "gap_closure:violence"]["low"] >= 0).all()
    lcr = table[(table["method"] == "lcr") & (table["split"] == "forget")]
    assert len(set(lcr["strength"])) == 1  # test prompts are for the selected strength only
    assert set(table[(table["method"] == "lcr") & (table["split"] == "forget-val")]["strength"]) == {2, 4}
    assert {"fid", "kid", "r1", "r2", "r3", "mm_dist", "mm_safe", "diversity", "violence"} <= set(
        lcr["metric"]
    )
    assert (finished.project.root / "runs" / "evaluate" / "0" / "momask" / "lcr" / "selection.json").exists()


def test_the_page_needs_no_network(finished: Finished) -> None:
    page = (finished.project.root / "reports" / "index.html").read_text(encoding="utf-8")
    text = page.replace("http://www.w3.org/", "")  # names of XML vocabularies, which nothing loads
    assert re.findall(r"""(?:src|href|action)\s*=\s*["'](?!data:|#)[^"']+["']""", text) == []
    assert (
        re.findall(
            r"""(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}[^\s"'<]*|@import|url\((?!["']?(?:data:|#))""", text
        )
        == []
    )


def test_each_step_is_a_run_below_one_parent(finished: Finished) -> None:
    (parent,) = parents(finished.project)
    assert parent["status"] == "FINISHED"
    assert parent["tags"]["hmu.pipeline"].startswith(("prefect-", "dvc-"))  # `dvc-` with one core
    below = children(finished.project, parent)
    wanted = [name.partition("@")[0].partition("-")[0] for name in finished.project.stages()]
    steps = Counter(name for name in wanted if name not in ("report", "register"))
    assert Counter(run["tags"]["hmu.step"] for run in below) == steps
    assert {run["status"] for run in below} == {"FINISHED"}
    assert all(run["tags"]["mlflow.source.git.commit"] for run in below)


def test_one_knob_of_lcr_runs_only_what_hangs_on_it_and_flow_and_dvc_find_each_others_work(
    branch: Project,
) -> None:
    stages, before = branch.stages(), branch.digests()
    branch.change({"unlearn": {"lcr": {"noise": 0.5}}})
    output = branch.good("python", "-m", "flows.pipeline")
    again = executed(output)
    assert again[:2] == ["unlearn@momask-lcr-0", "evaluate@momask-lcr-0"]
    assert set(again[2:]) == {"probe@momask-lcr-0", "register@momask-lcr", "report"}
    assert f"{len(stages)} stages, {len(stages) - 5} of them up to date" in output
    after = branch.digests()
    cell = {f"runs/{step}/0/momask/lcr" for step in ("unlearn", "evaluate", "probe")} | {
        "runs/register/momask/lcr"
    }
    assert {path for path in after if after[path] != before[path]} == {*cell, "reports"}
    assert executed(branch.good("dvc", "repro")) == []
    flow = parents(branch)[-1]
    assert flow["tags"]["hmu.pipeline"].startswith("prefect-")
    assert sorted(run["tags"]["hmu.step"] for run in children(branch, flow)) == [
        "evaluate",
        "probe",
        "unlearn",
    ]
    records = json.loads((branch.root / "reports" / "benchmark.json").read_text(encoding="utf-8"))
    assert len(records) > 0
    assert not Path(branch.root / "mlruns").exists()


def test_dvc_alone_runs_what_one_knob_asks_for_and_restores_what_it_had(branch: Project) -> None:
    before = branch.digests()
    branch.change({"register": {"slack": 0.75}})
    assert executed(branch.good("dvc", "repro", "register")) == ["register@momask-lcr"]
    after = branch.digests()
    assert {path for path in after if after[path] != before[path]} <= {"runs/register/momask/lcr"}
    branch.change({"register": {"slack": 0.5}})
    assert executed(branch.good("dvc", "repro")) == []
    assert branch.digests() == before
