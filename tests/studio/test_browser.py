"""The demo and the report's viewer in a real browser: Debian's Chromium, driven by Playwright."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_world import ROOT, tiny_params

from hmu_tasks.reviews.answers import read_answers
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.files import write_json

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that reports every error of its script."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    opened.faults = []
    opened.on("pageerror", lambda error: opened.faults.append(str(error)))
    yield opened
    context.close()
    assert opened.faults == []


@contextmanager
def served(root: Path, *command: str, place: str = "") -> Iterator[str]:
    """Address of a page that a command serves in `root`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    started = [sys.executable, "-m", "hmu_tasks", *command, "--port", str(port)]
    with subprocess.Popen(started, cwd=root, env=environment | {"PYTHONPATH": str(ROOT)}) as process:
        address = f"http://127.0.0.1:{port}/{place}"
        try:
            for _ in range(300):
                assert process.poll() is None
                try:
                    urllib.request.urlopen(address, timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield address
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def world(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny world with its parameters."""
    root = tmp_path_factory.mktemp("pages") / "world"
    shutil.copytree(finished, root)
    write_json(root / "params.yaml", tiny_params().model_dump(mode="json", by_alias=True))  # JSON is YAML
    return root


@pytest.fixture(scope="module")
def demo(world: Path) -> Iterator[str]:
    """Address of a demo of the tiny world."""
    with served(world, "demo") as address:
        yield address


def shown(page: Any, prompt: str) -> None:
    page.wait_for_selector(f'body[data-shown="{prompt}"]')


def drawn(page: Any, tmp_path: Path) -> int:
    """Number of colours on the canvas: more than a few where figures stand on it."""
    path = tmp_path / "canvas.png"
    page.locator("[data-canvas]").screenshot(path=path)
    with Image.open(path) as image:
        return len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0))


def test_a_prompt_is_typed_and_its_motions_are_seen(page: Any, demo: str, tmp_path: Path) -> None:
    page.goto(demo)
    shown(page, "a man kicks with his right leg, then bows")
    page.fill('[name="prompt"]', "a woman jumps")
    page.keyboard.press("Enter")
    shown(page, "a woman jumps")
    assert re.search(r"original: .*LCR, K = \d+: ", page.inner_text("[data-status]"))
    assert drawn(page, tmp_path) > 20
    assert "prompt=a+woman+jumps" in page.url
    assert "seed=0" in page.url


def test_a_shared_link_shows_the_same(page: Any, demo: str) -> None:
    page.goto(f"{demo}?prompt=a+man+runs&seed=11&seconds=3&model=original&model=retrain")
    shown(page, "a man runs")
    assert page.input_value('[name="seed"]') == "11"
    assert page.inner_text("[data-clock]").endswith("of 2.95 s")
    assert page.inner_text("[data-status]").startswith("original: ")
    assert page.locator('[name="model"]:checked').count() == 2


def test_an_example_is_one_click_and_overlay_changes_the_picture(
    page: Any, demo: str, tmp_path: Path
) -> None:
    page.goto(demo)
    page.click('[data-example]:has-text("punches")')
    shown(page, "a person punches twice with the left fist")
    before = page.locator("[data-canvas]").bounding_box()
    page.check("[data-overlay]")
    after = page.locator("[data-canvas]").bounding_box()
    assert before != after
    assert drawn(page, tmp_path) > 20


def test_bad_input_is_told_on_the_page(page: Any, demo: str) -> None:
    page.goto(demo)
    shown(page, "a man kicks with his right leg, then bows")
    page.fill('[name="prompt"]', "?!")
    page.click('button[type="submit"]')
    page.wait_for_selector(".status.bad")
    assert "has no word that the text encoder reads" in page.inner_text("[data-status]")
    page.fill('[name="prompt"]', "a man walks")
    page.fill('[name="seconds"]', "55")
    page.click('button[type="submit"]')
    page.wait_for_selector('[data-status]:has-text("motions last")')
    while (checked := page.locator('[name="model"]:checked')).count():
        checked.first.uncheck()
    page.click('button[type="submit"]')
    assert "Choose one to three models" in page.inner_text("[data-status]")


def test_files_are_saved_and_keys_step(page: Any, demo: str, tmp_path: Path) -> None:
    page.goto(f"{demo}?prompt=a+man+runs&seconds=2&model=original")
    shown(page, "a man runs")
    for kind, start in (("bvh", b"HIERARCHY"), ("glb", b"glTF"), ("gif", b"GIF89a"), ("npz", b"PK")):
        with page.expect_download() as waiting:
            page.click(f'[data-file="{kind}"]')
        target = tmp_path / f"file.{kind}"
        waiting.value.save_as(target)
        assert target.read_bytes().startswith(start)
        assert waiting.value.suggested_filename == f"a-man-runs-original.{kind}"
    page.focus("[data-canvas]")
    page.keyboard.press(" ")
    page.evaluate("document.querySelector('[data-scrub]').value = 0")
    page.dispatch_event("[data-scrub]", "input")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("[data-clock]") == "0.05 s of 1.95 s"


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_their_width(browser: Any, demo: str, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 860}, color_scheme=scheme)
    page = context.new_page()
    page.goto(demo)
    shown(page, "a man kicks with his right leg, then bows")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    edge = "one => one.getBoundingClientRect().right"
    form = page.locator("[data-form]").evaluate(edge)
    assert max(page.eval_on_selector_all(".exports button", f"all => all.map({edge})")) <= form
    context.close()


def test_the_reports_viewer_saves_a_picture_and_bvh(page: Any, finished: Path, tmp_path: Path) -> None:
    """BVH made by the page's script puts the joints where they are, as far as bones keep their length."""
    from hmu_tasks.data.clips import packed
    from hmu_tasks.data.motion.features import to_joints
    from hmu_tasks.viewer.inputs import MotionSample, ReportInputs
    from hmu_tasks.viewer.page import render_page
    from hmu_tasks.viewer.table import Selection

    clips = packed.load(finished / paths.CLIPS)
    joints = np.asarray(to_joints(np.array(clips.features(clips.columns["clip_id"][0]))), np.float32)
    sample = MotionSample("original", None, "forget", "a kick", "F1", joints, model="momask")
    inputs = ReportInputs("synthetic", "violence", [], Selection("lcr", 16, ""), samples=[sample])
    (tmp_path / "index.html").write_text(render_page(inputs, {}, {}), encoding="utf-8")
    page.goto((tmp_path / "index.html").as_uri())
    page.wait_for_selector("html.js")
    with page.expect_download() as waiting:
        page.click("[data-png]")
    waiting.value.save_as(tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as image:
        assert image.width > 300
    with page.expect_download() as waiting:
        page.click("[data-bvh]")
    waiting.value.save_as(tmp_path / "motion.bvh")
    found = positions((tmp_path / "motion.bvh").read_text(encoding="utf-8"))
    assert found.shape == joints.shape
    assert np.linalg.norm(found - joints, axis=-1).mean() < 0.01  # metres


def positions(text: str) -> np.ndarray:
    """Joints [F, 22, 3] of a BVH text in metres, by forward kinematics written for this test."""
    from hmu_tasks.data.motion.skeleton import JOINTS

    names: list[str] = []
    parents, offsets, stack, tip = [], [], [], False
    lines = text.splitlines()
    start = lines.index("MOTION")
    for line in lines[1:start]:
        word, *rest = line.split()
        if word in ("ROOT", "JOINT"):
            names.append(rest[0])
            parents.append(stack[-1] if stack else -1)
            stack.append(len(names) - 1)
        elif word == "End":
            tip = True
            stack.append(-1)
        elif word == "OFFSET" and not tip:
            offsets.append(np.array(rest, float))
        elif word == "}":
            tip = False
            stack.pop()
    rows = np.array([line.split() for line in lines[start + 3 :]], float)
    frames = []
    for row in rows:
        turned, places = [], []
        for j, parent in enumerate(parents):
            z, x, y = np.radians(row[3 + 3 * j : 6 + 3 * j])
            local = about(2, z) @ about(0, x) @ about(1, y)
            turned.append(local if parent < 0 else turned[parent] @ local)
            places.append(row[:3] if parent < 0 else places[parent] + turned[parent] @ offsets[j])
        frames.append([places[names.index(name)] for name in JOINTS])
    return np.array(frames) / 100


def about(axis: int, angle: float) -> np.ndarray:
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix


def test_a_reviewer_judges_pairs_by_mouse_and_keys_and_goes_on_later(page: Any, world: Path) -> None:
    with served(world, "review", "--model", "lcr", "--pairs", "3", place="review") as address:
        page.goto(address)
        page.wait_for_selector('body[data-shown="1"]')
        first = page.locator("[data-prompt]").inner_text()
        page.get_by_label("Reviewer").fill("")
        page.get_by_role("button", name="Save and go on").click()
        assert "Write your name first" in page.locator("[data-status]").inner_text()
        page.get_by_label("Reviewer").fill("Ann")
        page.get_by_label("Reviewer").press("Tab")
        page.wait_for_selector('body[data-shown="1"]')
        for name, value in (
            ("violent0", "yes"),
            ("violent1", "no"),
            ("follows0", "yes"),
            ("follows1", "yes"),
        ):
            page.locator(f'[name="{name}"][value="{value}"]').check()
        page.get_by_role(
            "button", name="Save and go on"
        ).click()  # one question is open: the browser says which
        assert not list((world / "data" / "reviews").glob("*.jsonl"))
        page.locator('[name="better"][value="right"]').check()
        page.get_by_label("Comment").fill("kicks <b>high</b>")
        page.get_by_role("button", name="Save and go on").click()
        page.wait_for_selector('body[data-shown="2"]')
        assert page.locator("[data-count]").inner_text() == "1 of 3 pairs judged"
        assert page.locator("[data-form] input:checked").count() == 0
        page.locator("body").click(position={"x": 5, "y": 5})
        page.keyboard.type("14qrs")
        page.keyboard.press("Enter")
        page.wait_for_selector('body[data-shown="3"]')
        page.reload()
        page.wait_for_selector('body[data-shown="3"]')
        assert page.get_by_label("Reviewer").input_value() == "Ann"
        page.keyboard.type("23wea")
        page.keyboard.press("Enter")
        page.wait_for_selector('body[data-shown="done"]')
    answers = read_answers(world / "data" / "reviews")
    assert [(one.left.violent, one.right.violent, one.better) for one in answers] == [
        (True, False, "right"),
        (True, False, "same"),
        (False, True, "left"),
    ]
    assert [(one.left.follows, one.right.follows) for one in answers[1:]] == [(True, False), (False, True)]
    assert (answers[0].prompt, answers[0].comment, answers[0].reviewer) == (first, "kicks <b>high</b>", "Ann")
