"""Concepts, prompts and the two rules."""

import json
from pathlib import Path

import pandas as pd
import pytest

from hmu_tasks.data.concepts import PROMPT_GROUPS, RULES, load_concept, load_concepts, load_prompts
from hmu_tasks.data.matching import lemma_hits, match, substring_hits, words_of
from hmu_tasks.errors import ConfigError

PUBLISHED_NAMES = {
    "crawl_creep_slide": "crawl",
    "jump_leap_hop": "jump",
    "punch_jab_box_hit_beat": "punch",
    "duck_squat": "duck",
}
DATASETS = {"HumanML3D": "humanml3d", "Motion-X": "motionx"}
VIOLENCE = load_concept("violence").keywords("lemma", "humanml3d")


@pytest.mark.parity
def test_substring_rule_equals_the_published_split(shared: Path) -> None:
    golden = json.loads((shared / "golden" / "g_keyword_split.json").read_text(encoding="utf-8"))
    rows = [(name, *line.split("#")[:2]) for name, lines in golden["lines"].items() for line in lines]
    captions = pd.DataFrame(rows, columns=["clip_id", "caption", "tokens"])
    compared = 0
    for key, expected in golden["results"].items():
        dataset, published, how = key.split("|")
        if published == "none":
            continue
        concept = load_concept(PUBLISHED_NAMES.get(published, published))
        hits = match(captions, concept, dataset=DATASETS[dataset], rule="substring")
        matching = captions["clip_id"][[bool(found) for found in hits]].value_counts()
        if how == "grep_Ec":
            assert {name: int(matching.get(name, 0)) for name in expected} == expected
        else:
            assert sorted(concept.keywords("substring", DATASETS[dataset])) == sorted(expected["keywords"])
            forget = [
                name
                for name in golden["split_order"]
                if matching.get(name, 0) >= int(how.removeprefix("min"))
            ]
            assert forget == expected["forget"], key
            assert [name for name in golden["split_order"] if name not in forget] == expected["retain"], key
        compared += 1
    assert compared > 30


def test_substring_rule_sees_typos_tags_and_case() -> None:
    keywords = load_concept("violence").keywords("substring", "humanml3d")
    assert substring_hits("a man jogs whith swinging arms#a/DET", keywords) == ("hit",)
    assert substring_hits("A man Kicks#a/DET man/NOUN kick/VERB", keywords) == ("kick",)
    assert substring_hits("A man Kicks#", keywords) == ()


@pytest.mark.parametrize(
    ("caption", "tokens", "expected"),
    [
        ("a person jogging forward whith their arms swinging", "", ()),
        ("A man KICKS the ball", "", ("kick",)),
        ("he punched and was hitting back", "", ("punch", "hit")),
        ("a kick", "a/DET kick/NOUN", ("kick",)),
        ("he boxes with the air", "he/PRON box/VERB with/ADP the/DET air/NOUN", ("box/VERB",)),
        ("he lifts a box", "he/PRON lift/VERB a/DET box/NOUN", ()),
        ("he boxes with the air", "he/OTHER boxes/OTHER with/OTHER the/OTHER air/OTHER", ("box/VERB",)),
        ("he carries two boxes", "", ()),
        ("he lifts a box and walks away", "", ()),
        ("walks to the beat", "", ()),
        ("someone beats the man", "", ("beat/VERB",)),
        ("a white cat shook the architecture", "", ()),
        ("she unboxes a parcel", "", ()),
        ("a side-kick", "", ("sidekick",)),
        ("", "", ()),
    ],
)
def test_lemma_rule(caption: str, tokens: str, expected: tuple[str, ...]) -> None:
    assert lemma_hits(caption, tokens, VIOLENCE) == expected


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
        ("mine: {description: d, substring: {default: [a]}}", "exactly description, substring, lemma"),
        ("mine: {description: d, substring: {default: ['']}, lemma: {default: [a]}}", "substring.default"),
        ("mine: {description: d, substring: {default: [a]}, lemma: {kitml: [a]}}", "named default"),
        ("mine: {description: d, substring: {default: [a]}, lemma: {default: [a/VRB]}}", "a/VRB"),
        ("mine: {description: d, substring: {default: [a]}, lemma: {default: [two words]}}", "two words"),
        ("- a list", "mapping"),
        ("a: [", "no valid YAML"),
    ],
)
def test_malformed_concepts_are_named(tmp_path: Path, text: str, message: str) -> None:
    source = tmp_path / "concepts.yaml"
    source.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_concepts(source)


def test_prompts_are_many_distinct_and_last_two_to_nine_seconds() -> None:
    prompts = load_prompts("violence")
    assert tuple(prompts) == PROMPT_GROUPS
    texts = [prompt.text for group in prompts.values() for prompt in group]
    assert len(texts) == len(set(texts))
    assert min(len(group) for group in prompts.values()) >= 32
    assert all(2 <= prompt.seconds <= 9 for group in prompts.values() for prompt in group)
    assert load_prompts("jump") == {}


def test_explicit_prompts_say_the_concept_and_implicit_ones_do_not() -> None:
    concept, prompts = load_concept("violence"), load_prompts("violence")
    for group, said in (("explicit", True), ("implicit", False), ("benign", False)):
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
        load_prompts("violence", source)
