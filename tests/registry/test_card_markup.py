"""Names and captions of users in what people open: card, artifacts and validation site show them and run nothing."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import markdown
import pytest
from gate_evidence import GOOD, LIMITS, measurement
from hostile_text import HOSTILE
from markdown_it import MarkdownIt

from hmu_tasks.registry.card import Origin, card_text, description
from hmu_tasks.registry.gate import decide
from hmu_tasks.runtime.markdown import code, fenced, plain, shell
from hmu_tasks.viewer.validation import write_site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def hostile_card(text: str) -> tuple[str, str]:
    evidence = replace(
        GOOD,
        concept=text,
        model=text,
        method=text,
        edit=text,
        dataset=text,
        bundle=text,
        probes={text: measurement(0.3, 0.3)},
        families={text: "text"},
        evaluators={text: text},
        classifiers={text: text},
    )
    decision = decide(evidence, None, LIMITS)
    return card_text(evidence, decision, Origin(text, True, {text: text})), description(evidence, decision)


def renderings(text: str) -> dict[str, str]:
    """What renderers with different ideas of safety make of Markdown; two of them let HTML through."""
    strict = MarkdownIt("commonmark").enable("table")
    open_ = MarkdownIt("js-default", {"html": True})
    return {
        "commonmark": strict.render(text),
        "github": open_.render(text),
        "python": markdown.markdown(text, extensions=["tables", "fenced_code"]),
    }


@pytest.mark.parametrize("text", HOSTILE)
def test_the_card_shows_names_and_has_no_markup_of_theirs(text: str) -> None:
    good, _ = hostile_card("kicks")
    for card, usual in zip(hostile_card(text), hostile_card("kicks"), strict=True):
        for name, page in renderings(card).items():
            own = renderings(usual)[name]
            for tag in (
                "<script",
                "<img",
                "<svg",
                "<a ",
                "<b",
                "<input",
                "<h1",
                "<h2",
                "<table",
                "<tr",
                "<td",
                "<pre",
            ):
                assert page.count(tag) == own.count(tag), (name, tag)
            assert page.count("<strong>") == own.count("<strong>"), name
            assert "href=" not in page
    assert "## Gate" in good


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_is_shown_as_it_was_written(text: str) -> None:
    html = MarkdownIt("commonmark").render(f"before {plain(text)} after")
    shown = html.removeprefix("<p>").removesuffix("</p>\n")
    assert "<" not in shown
    seen = shown.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
    wanted = " ".join(text.replace("\u202e", "").split())
    assert " ".join(seen.removeprefix("before ").removesuffix(" after").split()) == wanted


def test_usual_text_stays_as_it_is() -> None:
    for text in (
        "R@1 on retain prompts: worse by up to 0.0559, 0.05 allowed",
        "-0.21 ±0.02",
        "D_r",
        "0.21",
        "n/a: x",
    ):
        assert plain(text) == text
    assert plain(plain("a*b")) == r"a\*b"
    assert code("md5:e") == "`md5:e`"
    assert shell("register@momask-lcr") == "register@momask-lcr"
    assert shell("$(reboot); `x`\nrm -rf /") == "'$(reboot); '\"'\"'x'\"'\"' rm -rf /'"


def test_nothing_ends_a_block_of_code() -> None:
    text = "a\n```\n<script>window.ran = 1</script>\n````\n~~~"
    html = MarkdownIt("js-default", {"html": True}).render(f"# x\n\n{fenced(text)}\n\nafter\n")
    assert "<script" not in html
    assert html.count("<pre>") == 1
    assert html.endswith("<p>after</p>\n")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.mark.slow
def test_cards_and_validation_pages_in_a_browser(browser: Any, tmp_path: Path) -> None:
    pages = []
    for name in renderings(""):
        cards = [renderings(hostile_card(text)[0])[name] for text in HOSTILE]
        pages.append(tmp_path / f"{name}.html")
        pages[-1].write_text(f"<!doctype html><meta charset=utf-8>{'<hr>'.join(cards)}", encoding="utf-8")
    contracts: list[dict[str, Any]] = []
    for text in HOSTILE:
        contract = {
            "contract": text,
            "expectation": text,
            "column": text,
            "kwargs": {text: text},
            "success": False,
        }
        contracts.append(
            contract
            | {
                "checked": 3,
                "unexpected": 1,
                "observed": None,
                "seen": text,
                "clips": [text],
                "problem": text,
            }
        )
    suite = {"name": "captions", "rows": 3, "success": False, "contracts": contracts}
    site = tmp_path / "site"
    site.mkdir()
    write_site({"success": False, "limits": {"frames": [40, 200], "fps": 20.0}, "suites": [suite]}, site)
    pages += sorted(site.glob("*.html"))
    page = browser.new_page()
    for path in pages:
        page.goto(path.as_uri())
        links = page.eval_on_selector_all("a", "all => all.map(one => one.protocol)")
        assert set(links) <= {"file:"}, path
        for mark in page.query_selector_all("b, img, svg, [onmouseover], [onerror], [onload]"):
            assert mark.get_attribute("onmouseover") is None, path
            assert mark.get_attribute("onerror") is None, path
        page.mouse.move(200, 200)
        assert page.evaluate("window.ran") is None, path
    assert len(pages) == 5
