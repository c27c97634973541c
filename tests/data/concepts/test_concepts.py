"""Concepts, prompts and the two matching rules."""

import json
import textwrap
from pathlib import Path

import pandas as pd
import pytest

from hmu_tasks.data.clips.words import words_of
from hmu_tasks.data.concepts.concepts import (
    PROBE_GROUPS,
    PROMPT_GROUPS,
    RULES,
    load_concept,
    load_concepts,
    load_prompts,
)
from hmu_tasks.data.concepts.lemmas import lemma_hits, prepare
from hmu_tasks.data.concepts.matching import match, substring_hits
from hmu_tasks.data.division.partition import choose
from hmu_tasks.runtime.errors import ConfigError

PUBLISHED_NAMES = {
    "crawl_creep_slide": "crawl",
    "jump_leap_hop": "jump",
    "punch_jab_box_hit_beat": "punch",
    "duck_squat": "duck",
}
MINE = "mine: {description: d, substring: {default: [a]}, lemma: {default: [a]}"
DATASETS = {"HumanML3D": "humanml3d", "Motion-X": "motionx"}
VIOLENCE = prepare(load_concept("violence").keywords("lemma", "humanml3d"), load_concept("violence").harmless)


@pytest.mark.parity
def test_substring_rule_equals_the_published_split(shared: Path) -> None:
    """All concepts of both released keyword lists, with one and two required matches, and the line counts."""
    golden = json.loads((shared / "golden" / "g_keyword_split.json").read_text(encoding="utf-8"))
    rows = [(name, *line.split("#")[:2]) for name, lines in golden["lines"].items() for line in lines]
    captions = pd.DataFrame(rows, columns=["clip_id", "caption", "tokens"])
    clips = pd.DataFrame({"clip_id": golden["split_order"], "source": golden["split_order"]})
    compared = 0
    for key, expected in golden["results"].items():
        dataset, published, how = key.split("|")
        if (
            published == "none"
        ):  # the release's name for "no concept", with a keyword that occurs in no caption
            lines = captions["caption"] + "#" + captions["tokens"]
            hits = [substring_hits(line, expected["keywords"]) for line in lines]
        else:
            concept = load_concept(PUBLISHED_NAMES.get(published, published))
            hits = match(captions, concept, dataset=DATASETS[dataset], rule="substring")
        if how == "grep_Ec":
            matching = captions["clip_id"][[bool(found) for found in hits]].value_counts()
            assert {name: int(matching.get(name, 0)) for name in expected} == expected
        else:
            if published != "none":
                named = concept.keywords("substring", DATASETS[dataset])
                assert sorted(named) == sorted(expected["keywords"])
            chosen = choose(captions, clips, hits, matches=int(how.removeprefix("min")))
            assert list(clips["clip_id"][chosen]) == expected["forget"], key
            assert list(clips["clip_id"][~chosen]) == expected["retain"], key
        compared += 1
    assert compared == 38


def test_substring_rule_sees_typos_tags_and_case() -> None:
    keywords = load_concept("violence").keywords("substring", "humanml3d")
    assert substring_hits("a man jogs whith swinging arms#a/DET", keywords) == ("hit",)
    assert substring_hits("A man Kicks#a/DET man/NOUN kick/VERB", keywords) == ("kick",)
    assert substring_hits("A man Kicks#", keywords) == ()


def test_words_are_counted_as_the_official_text_files_count_tokens() -> None:
    assert words_of("A person walks 4 steps, counter-clockwise; he doesn't run 2m.") == [
        *(["A", "person", "walks", "steps", "counterclockwise", "he", "doesn't", "run", "m"]),
    ]


def test_every_concept_has_both_rules_and_a_default() -> None:
    concepts = load_concepts()
    assert {
        "violence",
        "kick",
        "punch",
        "jump",
        "crawl",
        "throw",
        "zombie",
        "duck",
        "weapons",
        "wave",
    } <= set(concepts)
    for concept in concepts.values():
        for rule in RULES:
            assert concept.keywords(rule, "humanml3d")
            assert concept.keywords(rule, "a dataset of my own") == concept.lists[rule]["default"]


def test_unknown_names_list_the_choices() -> None:
    with pytest.raises(ConfigError, match="violence, kick, punch"):
        load_concept("violense")
    with pytest.raises(ConfigError, match="substring, lemma"):
        load_concept("kick").keywords("exact", "humanml3d")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mine: {description: d, substring: {default: [a]}}", "must hold description, substring, lemma"),
        ("mine: {description: d, substring: {default: [a]}, lemma: {default: [a]}, lema: 1}", "at most"),
        ("mine: {description: d, substring: {default: ['']}, lemma: {default: [a]}}", "substring.default"),
        ("mine: {description: d, substring: {default: [a]}, lemma: {kitml: [a]}}", "named default"),
        ("mine: {description: d, substring: {default: [a]}, lemma: {default: [a/VRB]}}", "a/VRB"),
        ("mine: {description: d, substring: {default: [a]}, lemma: {default: [Kick]}}", "Kick"),
        ("mine: {description: d, substring: {default: [a]}, lemma: {default: [' ']}}", "lower-case words"),
        ("mine: {description: d, substring: {default: [a]}, lemma: {default: [=a]}}", "=a"),
        (f"{MINE}, harmless: {{b: [c]}}}}", "each under a keyword"),
        (f"{MINE}, harmless: {{a: c}}}}", "harmless.a must be a list"),
        (f"{MINE}, harmless: {{a: ['==c']}}}}", "==c.*exact form"),
        (f"{MINE}, prompts: {{explicit: go}}}}", "prompts must hold lists"),
        (f"{MINE}, prompts: {{explicit: [{{text: go, seconds: 60}}]}}}}", r"prompts\.explicit.*2 to 9"),
        (f"{MINE}, prompts: {{explicit: [{{text: go, seconds: 3, action: 1}}]}}}}", "name of an action"),
        ("- a list", "mapping"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_malformed_concepts_are_named(tmp_path: Path, text: str, message: str) -> None:
    source = tmp_path / "concepts.yaml"
    source.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_concepts(source)


def test_prompts_are_many_distinct_and_last_two_to_nine_seconds() -> None:
    assert tuple(load_prompts("violence")) == PROMPT_GROUPS
    prompts = load_prompts("violence", groups=PROBE_GROUPS)
    assert tuple(prompts) == PROBE_GROUPS
    texts = [prompt.text for group in prompts.values() for prompt in group]
    assert len(texts) == len(set(texts))
    assert min(len(group) for group in prompts.values()) >= 48
    assert all(2 <= prompt.seconds <= 9 for group in prompts.values() for prompt in group)
    assert load_prompts("jump") == {}


def test_explicit_prompts_match_the_concept_and_implicit_ones_do_not() -> None:
    concept, prompts = load_concept("violence"), load_prompts("violence", groups=PROBE_GROUPS)
    for group, said in (("explicit", True), ("implicit", False), ("benign", False), ("synonym", False)):
        for prompt in prompts[group]:
            assert bool(lemma_hits(prompt.text, "", VIOLENCE)) == said, prompt.text
            if not said:
                assert not substring_hits(prompt.text, concept.keywords("substring", "humanml3d")), (
                    prompt.text
                )


def test_a_malformed_prompt_is_named(tmp_path: Path) -> None:
    source = tmp_path / "prompts.yaml"
    source.write_text("violence: {benign: [{text: walks, seconds: 30}]}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"violence\.benign.*2 to 9 seconds"):
        load_prompts("violence", shipped=source)


def test_custom_concepts_are_added_to_the_shipped_ones(tmp_path: Path) -> None:
    source = tmp_path / "my_concepts.yaml"
    source.write_text(
        "bow:\n  description: bowing\n  substring: {default: [bow]}\n  lemma: {default: [bow/VERB, take a bow]}\n"
        "  harmless: {bow/VERB: [rain bow]}\n  prompts: {explicit: [{text: he bows low, seconds: 3}]}\n"
        "kick:\n  description: mine\n  substring: {default: [kick]}\n  lemma: {default: [kick]}\n",
        encoding="utf-8",
    )
    concepts = load_concepts(source)
    assert set(concepts) == {*load_concepts(), "bow"}
    assert concepts["kick"].description == "mine"
    assert concepts["bow"].keywords("lemma", "humanml3d") == ("bow/VERB", "take a bow")
    assert concepts["bow"].words("humanml3d") == ["bow"]
    assert load_prompts("bow", source)["explicit"][0].seconds == 3
    assert load_prompts("violence", source) == load_prompts("violence")
    with pytest.raises(ConfigError, match=r"my_concepts\.yaml.*bow"):
        load_concept("wink", source)


def test_the_example_of_the_documentation_is_valid(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "concepts.md").read_text(encoding="utf-8")
    source = tmp_path / "my_concepts.yaml"
    source.write_text(textwrap.dedent(page.partition("```yaml\n")[2].partition("```")[0]), encoding="utf-8")
    assert load_concept("bow", source).keywords("lemma", "motionx") == ("bow/VERB", "curtsy", "salute")
    assert load_prompts("bow", source)["explicit"][0].text.startswith("she bows")
