import xml.etree.ElementTree as ET

import pytest
from fake_records import ERASURE, SELECTION, make_records
from fake_report import make_history, make_usage

from hmu_tasks.metrics.comparisons import with_comparisons
from hmu_tasks.viewer import codeplots, drawing, plots


def texts(svg: str) -> str:
    root = ET.fromstring(svg)  # noqa: S314 - ours
    return " ".join("".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text"))


def test_every_plot_is_the_same_twice_and_carries_no_date(inputs, drawn):
    first = drawn
    assert plots.strength_curves(inputs.records, SELECTION) == first["strength-momask-lcr"]
    both = (SELECTION, ERASURE)
    assert plots.tradeoff(inputs.records, both, model="momask") == first["tradeoff-momask"]
    assert {"tradeoff-momask", "tradeoff-bamm", "strength-momask-erasure", "prompts-momask"} <= set(first)
    assert {"presence0", "top0", "perplexity"} <= set(first)
    assert {"history-base-momask", "history-tokenizer", "history-evaluator"} <= set(first)
    for svg in first.values():
        ET.fromstring(svg)  # noqa: S314
        assert "dc:date" not in svg


def test_ids_of_two_plots_never_clash(drawn):
    seen: set[str] = set()
    for svg in drawn.values():
        ids = [node.get("id") for node in ET.fromstring(svg).iter() if node.get("id")]  # noqa: S314
        assert len(ids) == len(set(ids))
        assert not seen & set(ids)
        seen |= set(ids)


def test_tradeoff_names_every_method_and_both_ends(inputs):
    words = texts(plots.tradeoff(inputs.records, (SELECTION, ERASURE), model="momask"))
    for name in ("LCR, K = 16", "linear erasure, 100 %", "original", "D_r", "limit: 0.03", "(%)"):
        assert name in words
    assert "NPO" not in words


def test_curves_come_from_the_validation_split():
    rows = with_comparisons(make_records())
    test = [r for r in rows if not r["split"].endswith("-val")]
    assert plots.tradeoff(test, [SELECTION], model="momask") is None
    assert plots.strength_curves(test, SELECTION) is None
    assert plots.tradeoff([r for r in rows if r not in test], [SELECTION], model="momask") is not None


def test_without_data_there_is_no_plot():
    records = with_comparisons(make_records(violence=False, probes=False))
    assert plots.prompt_kinds(records, SELECTION) is None
    words = texts(plots.tradeoff(records, [SELECTION], model="momask"))
    assert "forget FID gap closed" in words
    assert "violence" not in words
    assert plots.strength_curves([], SELECTION) is None
    assert codeplots.presence(make_usage().iloc[:0]) is None
    assert codeplots.training_curves({"evaluator": make_history().iloc[:0]}) == {}


def test_inline_svg_follows_the_page_s_colours(inputs):
    text = drawing.inline(plots.strength_curves(inputs.records, SELECTION), title='a "b" <c>')
    assert "var(--edited)" in text
    assert drawing.EDITED not in text
    assert "http" not in text
    assert 'aria-label="a &quot;b&quot; &lt;c>"' in text


def test_perplexity_counts_effective_codes():
    usage = make_usage()
    even = usage[usage["layer"] == 0]["retain_count"] * 0 + 7
    assert codeplots.usage_perplexity(even) == pytest.approx(len(even))
    assert codeplots.usage_perplexity(even * 0) == 0.0


def test_no_pyplot_state_is_left():
    import sys

    assert "matplotlib.pyplot" not in sys.modules
