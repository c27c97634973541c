import base64
import dataclasses
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from fake_records import SELECTION, make_records
from fake_report import make_history, make_inputs

from hmu_tasks.metrics.comparisons import with_comparisons
from hmu_tasks.report import write_report
from hmu_tasks.viewer import page
from hmu_tasks.viewer.decision import Judged
from hmu_tasks.viewer.inputs import ReportInputs
from hmu_tasks.viewer.summary import note, summarise
from hmu_tasks.viewer.verdict import verdict
from hmu_tasks.viewer.view import views

VOID = {"meta", "link", "img", "input", "br"}
SECTIONS = [
    "decision",
    "verdict",
    "ranking",
    "results",
    "attacks",
    "cost",
    "motions-shown",
    "tradeoff",
    "strength",
    "codebook",
    "prompts",
    "training",
    "filter",
    "data",
    "protocol",
    "reproduction",
]


class Reader(HTMLParser):
    """Collects sections, links and addresses, and checks that tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sections: list[str] = []
        self.targets: list[str] = []
        self.ids: list[str] = []
        self.json = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.sections.append(found["id"])
        if "id" in found:
            self.ids.append(found["id"])
        self.targets += [
            found[name] for name in ("src", "href", "xlink:href", "action", "data") if found.get(name)
        ]
        self.in_json = found.get("type") == "application/json"

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script" and self.in_json:
            self.json += data


@pytest.fixture(scope="module")
def text(inputs, drawn):
    return page.render_page(inputs, drawn, page.draw_animations(inputs))


def test_page_parses_and_has_every_section(text):
    reader = Reader(text)
    assert not reader.open
    assert reader.sections == SECTIONS
    assert len(reader.ids) == len(set(reader.ids))
    for target in reader.targets:
        assert target.startswith(("#", "data:")), target
        assert not target.startswith("#") or target[1:] in reader.ids


def test_page_reaches_for_no_network(text):
    plain = re.sub(r"data:[a-z/]+;base64,[A-Za-z0-9+/=]+", "", text)
    assert "http://" not in plain
    assert "https://" not in plain
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttpRequest|WebSocket", plain)
    assert "default-src 'none'" in plain


def test_motions_read_back_to_the_millimetre(text, inputs):
    groups = json.loads(Reader(text).json)
    assert [group["split"] for group in groups] == ["forget"] * 3 + ["retain"] * 2
    assert [panel["method"] for panel in groups[0]["panels"]] == ["original", "lcr", "retrain", "real"]
    packed = groups[0]["panels"][0]
    joints = np.frombuffer(base64.b64decode(packed["data"]), "<i2").reshape(packed["frames"], 22, 3) / 1000
    np.testing.assert_allclose(joints, inputs.samples[0].joints, atol=5.1e-4)


def test_prompts_cannot_break_out_of_the_page(inputs):
    prompt = '</script><script>alert("x")</script> & <b>'
    samples = [dataclasses.replace(inputs.samples[0], prompt=prompt)]
    hostile = dataclasses.replace(inputs, samples=samples)
    text = page.render_page(hostile, {}, page.draw_animations(hostile))
    assert "<script>alert" not in text
    assert json.loads(Reader(text).json)[0]["prompt"] == prompt


def test_missing_inputs_leave_their_sections_out():
    bare = make_inputs(violence=False, probes=False, full=False)
    reader = Reader(page.render_page(bare, page.draw_plots(bare), page.draw_animations(bare)))
    assert reader.sections == [
        "decision",
        "verdict",
        "ranking",
        "results",
        "tradeoff",
        "strength",
        "protocol",
        "reproduction",
    ]
    assert not reader.open
    assert all(target[1:] in reader.ids for target in reader.targets if target.startswith("#"))


def test_without_a_classifier_nothing_speaks_of_a_violence_rate():
    bare = make_inputs(violence=False, probes=False, full=False)
    text = page.render_page(bare, page.draw_plots(bare), {})
    assert "classified as violent" not in text
    assert "<b>Violence</b>" not in text
    assert "forget FID gap" in text
    assert "are nearest to a real motion of violence (NCS@1)" in text


def test_without_labels_and_gold_forgetting_is_unknown():
    records = [
        r for r in make_records(violence=False) if r["method"] != "retrain" and "ncs" not in r["metric"]
    ]
    found = verdict(with_comparisons(records), SELECTION, concept="violence")
    assert found.sentences[0].startswith("Forgetting: unknown")


def test_no_records_at_all_still_make_a_page():
    empty = ReportInputs("humanml3d", "violence", [], SELECTION)
    reader = Reader(page.render_page(empty, page.draw_plots(empty), {}))
    assert reader.sections == ["decision", "verdict", "ranking", "results", "protocol", "reproduction"]


def test_verdict_reports_forgetting_and_retention():
    records = with_comparisons(make_records())
    found = verdict(records, SELECTION, concept="violence")
    words = " ".join(found.sentences)
    assert words.startswith("Forgetting: LCR (K = 16) lowers the share of motions that show violence on 440")
    assert "Retention: on retain prompts R@1 falls from" in words
    assert [tile.good for tile in found.tiles] == [None] * 4
    clauses = {"forgotten forget/violence_corrected": True, "kept retain/r1": False, "kept retain/fid": True}
    judged = Judged(SELECTION, False, ("R@1 on retain prompts: worse",), clauses)
    coloured = verdict(records, SELECTION, concept="violence", gate=judged)
    assert [tile.good for tile in coloured.tiles] == [True, None, False, True]
    old = with_comparisons(make_records(old=True))
    missed = verdict(old, dataclasses.replace(SELECTION, strength=64, met=False), concept="violence")
    assert "No strength was eligible" in missed.sentences[-1]


def test_a_rate_below_the_floor_is_zero_and_stands_beside_the_flagged_one():
    changed = {("forget", "violence"): 0.02, ("retain", "violence"): 0.07}
    records = [
        {**r, "mean": value, "replicates": value + 0.001 * (r["replicates"] - r["mean"])}
        if r["method"] == "lcr" and (value := changed.get((r["split"], r["metric"]))) is not None
        else r
        for r in make_records()
    ]
    compared = with_comparisons(records)
    found = verdict(compared, SELECTION, concept="violence")
    assert "0.0 ±0.0 % after the edit (flagged: 2.0 ±" in found.sentences[0]
    assert "That closes 100.0 ±" in found.sentences[0]
    assert "(induced: 4.0 ±" in found.sentences[-1]
    assert found.tiles[0].value.startswith("0.0 ±")
    assert "not below 0" in note(summarise(compared, SELECTION), SELECTION)


def test_verdict_names_rank_worst_attack_and_cost(inputs):
    first, second = views(inputs)
    said = first.verdict.sentences
    assert "LCR (K = 16), rank 1 of 2 methods" in said[0]
    assert "the most successful of 4 attacks (relearning, 8 clips, 20 steps)" in said[1]
    assert (
        "back in 72 (62 to 82) % of the motions for 48 prompts, against 24 (14 to 34) % with D_r" in said[1]
    )
    assert "Attacks that were not tried may succeed more often." in said[1]
    assert "changes 8,192 parameters, takes no training and reads 4,000 clips." in said[2]
    assert said[3].startswith("Harmless prompts: ")
    assert "% of the motions for 34 hand-written ones (benign) lie outside the original's range" in said[3]
    assert "makes every motion cost 1.5 times as many passes" in " ".join(second.verdict.sentences)
    bare = views(dataclasses.replace(inputs, probes=()))[0]
    assert "No attack was run, so it is unknown" in bare.verdict.sentences[1]


def test_models_have_their_own_blocks_and_tabs(text):
    assert re.findall(r'data-show="(\w*)"', text) == ["momask", "bamm", ""]
    shown = re.findall(r'<div data-model="(\w+)">', text)
    assert shown.count("bamm") == shown.count("momask") - text.count("<figcaption>Error bars") + 2
    alone = page.render_page(make_inputs(full=False), {}, {})
    assert "data-show=" not in alone.replace("[data-show]", "")


def test_heat_map_tells_rate_interval_and_prompts_of_every_cell(text):
    assert 'title="vector by gradient, radius 0.5, LCR, K = 16: 54 (44 to 64) %, n = 48"' in text
    assert 'title="benign, original' not in text  # not measured there, so that the column is left out
    assert re.search(r'class="cell" style="--p:96%"', text)


def test_few_motions_are_warned_of(text, inputs):
    assert "forget-val (n = 200, 256 features)" in text
    assert "forget (n = 440" not in text
    old = dataclasses.replace(inputs, records=with_comparisons(make_records(old=True)))
    assert not views(old)[0].warning


def test_old_records_and_no_probes_still_make_a_report(tmp_path):
    old = ReportInputs("synthetic", "violence", with_comparisons(make_records(old=True)), SELECTION)
    write_report(old, tmp_path)
    assert "LCR, K = 64" not in (tmp_path / "tables.txt").read_text(encoding="utf-8")


def test_report_folder_is_the_same_twice(tmp_path, inputs):
    short = dataclasses.replace(
        inputs, others=(), samples=inputs.samples[:4], usage=None, histories={"text": make_history()}
    )
    for name in ("one", "two"):
        write_report(short, tmp_path / name)
    files = sorted(
        path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()
    )
    expected = {"benchmark.csv", "benchmark.json", "benchmark.md", "index.html", "summary.txt"}
    assert expected <= {path.as_posix() for path in files}
    assert any(path.suffix == ".gif" for path in files)
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes(), path


def test_facts_are_short():
    rows = dict(page.facts({"a": {"b": 1.23456, "c": True}, "d": list(range(30)), "e": None, "f": []}))
    assert rows["a.b"] == "1.235"
    assert rows["a.c"] == "yes"
    assert rows["d"].endswith("and 18 more")
    assert rows["e"] == "–"
    assert rows["f"] == "none"
