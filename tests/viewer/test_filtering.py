"""The filter's section of the report: statistics of both rules, the rule in use first."""

import copy

import pytest
from fake_report import make_filtering, make_inputs

from hmu_tasks.viewer import page
from hmu_tasks.viewer.filtering import filter_facts


@pytest.fixture
def summary() -> dict:
    return make_filtering()


def test_the_rule_in_use_comes_first(summary: dict) -> None:
    for used, other in (("lemma", "substring"), ("substring", "lemma")):
        facts = filter_facts(summary | {"rule": used})
        assert [rule.name for rule in facts.rules] == [used, other]
        assert [sample.rule for sample in facts.samples] == [used, other]


def test_keywords_are_ranked_and_idle_ones_named(summary: dict) -> None:
    rule = filter_facts(summary).rules[0]
    assert [row.word for row in rule.keywords[:2]] == ["kick", "punch"]
    assert rule.keywords[0].part == 1
    assert rule.idle == ("boxing",)


def test_groups_of_clips_add_up(summary: dict) -> None:
    facts = filter_facts(summary)
    assert sum(group.share for group in facts.agreement) == pytest.approx(1)
    assert [group.clips for group in facts.agreement] == [1117, 12, 3]


def test_sentences_tell_what_the_lemma_rule_did(summary: dict) -> None:
    told = " ".join(filter_facts(summary).sentences)
    assert "rejected because of a harmless phrase in the caption: kick 14." in told
    assert "kciks as kick (3)" in told
    assert "mirrored" not in told
    assert "2 of its captions match" in filter_facts(summary | {"matches": 2}).sentences[0]
    assert "1 mirrored clips" in filter_facts(summary | {"twins_apart": ["M1"]}).sentences[-1]


def test_a_concept_without_hits_or_disagreement_has_a_section(summary: dict) -> None:
    none = copy.deepcopy(summary)
    none |= {"harmless": {}, "spellings": {}}
    none["captions_of_forget_clips"] = {"captions": 0, "without_keyword": 0, "share": 0.0}
    for key in none["disagreement"]:
        none["disagreement"][key] = [] if key == "sample" else 0
    for rule in none["rules"].values():
        rule["keywords"] = {"kick": {"captions": 0, "clips": 0}}
    facts = filter_facts(none)
    assert [group.share for group in facts.agreement] == [0, 0, 0]
    assert facts.rules[0].keywords == ()
    assert len(facts.sentences) == 1
    assert filter_facts(None) is None


def test_captions_are_escaped_and_shown_in_the_page() -> None:
    html = page.render_page(make_inputs(), {}, {"forget-000001.gif": b""})
    assert "a &lt;b&gt; jogs whith swinging arms" in html
    assert "Only substring: 1 of 48 captions" in html
    assert '<a href="#filter">' in html
