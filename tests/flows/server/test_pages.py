"""Prefect's own pages with names and captions that are markup, links and code elsewhere, in a real browser."""

import json
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from hostile_text import HOSTILE
from lab import Lab

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"),
]

FLOW = """
import json, sys
from pathlib import Path
from flows.server.environment import project_root
from prefect import flow
from flows.engine import artifacts
from hmu_tasks.runtime import paths
texts, root = json.loads(sys.argv[1]), Path(sys.argv[2])
site, reports = root / paths.VALIDATION_SITE, root / paths.REPORTS
for folder in (site, reports):
    folder.mkdir(parents=True)
contract = lambda text: {"contract": text, "column": text, "unexpected": text, "clips": [text], "success": False}
suites = [{"name": text, "contracts": [contract(text)]} for text in texts]
(site / "validation.json").write_text(json.dumps({"suites": suites}))
(reports / "summary.txt").write_text("\\n".join(texts))
row = {"split": "forget", "metric": "fid", "strength": None, "mean": 1.0, "low": None, "high": None, "n": 4}
(reports / "benchmark.json").write_text(json.dumps([row | {"model": text, "method": text} for text in texts]))
@flow
def hostile():
    artifacts.leave_broken_contracts(root, before=None)
    artifacts.leave_failure(texts[0], tuple(texts))
    artifacts.leave_metrics(root)
    artifacts.leave_report(root / texts[1].replace("/", "_"), how=" ".join(texts))
    artifacts.leave_markdown("text", key="described", description=" ".join(texts))
    artifacts.Progress("progress")(" ".join(texts), 100)
hostile()
"""


def test_names_of_users_stay_text_on_prefects_pages(lab: Lab, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    done = subprocess.run(
        [sys.executable, "-c", FLOW, json.dumps(HOSTILE), str(tmp_path)],
        cwd=lab.home,
        env=lab.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    made = found_artifacts(lab)
    assert {"broken-contracts", "summary", "metrics", "report", "described", "progress-progress"} <= set(made)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 4000})
        for key, one in made.items():
            page.goto(f"http://127.0.0.1:{lab.port}/artifacts/artifact/{one}")
            page.get_by_text("Created").first.wait_for()
            page.mouse.move(500, 300)
            assert page.evaluate("window.ran") is None, key
            addresses = page.eval_on_selector_all("a", "all => all.map(one => one.href)")
            assert [at for at in addresses if not at.startswith(f"http://127.0.0.1:{lab.port}/")] == [], key
            assert page.locator("img[src=x], [onerror], [onload], [onmouseover]").count() == 0, key
            assert "window.ran" in page.content(), key  # the names are there
        browser.close()


def found_artifacts(lab: Lab) -> dict[str, str]:
    """Key of each artifact of the newest flow run -> its id."""
    run = lab.runs_of("hostile")[0]["id"]
    body: dict[str, Any] = {"artifacts": {"flow_run_id": {"any_": [run]}}}
    request = urllib.request.Request(  # noqa: S310
        f"{lab.url}/artifacts/filter",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return {one["key"]: one["id"] for one in json.load(answer)}
