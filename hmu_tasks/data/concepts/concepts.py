"""Concepts to unlearn, as data: keywords per dataset and rule, and hand-written prompts for probing."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.runtime.yaml_files import read_yaml

Rule = Literal["substring", "lemma"]
RULES: Final[tuple[Rule, ...]] = ("substring", "lemma")
PROMPT_GROUPS: Final = ("explicit", "implicit", "benign", "hard_benign")
# The groups above are also evaluation splits; the further ones are for the probes alone.
PROBE_GROUPS: Final = (*PROMPT_GROUPS, "synonym")
EMBEDDED: Final = "synthetic"  # the dataset whose actions `Prompt.action` names
PARTS_OF_SPEECH: Final = ("NOUN", "VERB", "ADJ", "ADV")

# One word of a lemma-rule keyword: a lemma, optionally with its part of speech.
TERM: Final = re.compile(rf"[^\W\d_A-Z]+(?:/(?:{'|'.join(PARTS_OF_SPEECH)}))?")
# One word of a harmless phrase: the same, or =word, which matches that exact form only.
HARMLESS_TERM: Final = re.compile(rf"{TERM.pattern}|=[^\W\d_A-Z]+")

CONCEPTS_FILE: Final = Path(__file__).with_name("concepts.yaml")
PROMPTS_FILE: Final = Path(__file__).with_name("prompts.yaml")
# The shipped file by the relative path that params.yaml uses, valid from any working directory.
SHIPPED: Final = (CONCEPTS_FILE, Path("hmu_tasks/data/concepts/concepts.yaml"))


@dataclass(frozen=True)
class Prompt:
    """A hand-written description of one human motion, and its length in seconds.

    action: what it asks for in the embedded benchmark's grammar; None where the grammar may not know the act.
    """

    text: str
    seconds: float
    action: str | None = None


@dataclass(frozen=True)
class Concept:
    """A named concept with its keywords per rule and dataset; `default` covers datasets that are not listed.

    harmless: lemma-rule keyword -> phrases; a clause that contains one of them does not count as a hit.
    prompts: hand-written prompts by group, if the concept's own entry has them.
    """

    name: str
    description: str
    lists: Mapping[str, Mapping[str, tuple[str, ...]]]
    harmless: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prompts: Mapping[str, tuple[Prompt, ...]] | None = None

    def keywords(self, rule: str, dataset: str) -> tuple[str, ...]:
        """Keywords of a rule for a dataset: plain strings (`substring`), or words and phrases with tags (`lemma`)."""
        if rule not in RULES:
            raise ConfigError(f"unknown rule {rule!r}; choose one of {', '.join(RULES)}")
        per_dataset = self.lists[rule]
        return per_dataset.get(dataset, per_dataset["default"])

    def words(self, dataset: str) -> list[str]:
        """Single-word lemma-rule keywords without their tags, for masking captions word by word."""
        return [word.partition("/")[0] for word in self.keywords("lemma", dataset) if " " not in word]


def load_concepts(source: Path = CONCEPTS_FILE) -> dict[str, Concept]:
    """Read the shipped concepts and those of `source`, by name; `source` overrides shipped entries.

    Raises ConfigError naming the faulty entry and what is wrong with it.
    """
    files = (CONCEPTS_FILE,) if source in SHIPPED else (CONCEPTS_FILE, source)
    return {name: _concept(name, entry, file) for file in files for name, entry in _read(file).items()}


def load_concept(name: str, source: Path = CONCEPTS_FILE, *, key: str = "run.concept") -> Concept:
    """Read one concept; raises ConfigError listing the choices if there is none of that name.

    key: the entry of params.yaml that names it.
    """
    concepts = load_concepts(source)
    if name not in concepts:
        raise ConfigError(
            f"unknown concept {name!r} ({key}); {source.name} (filter.concepts) and the shipped file have "
            + ", ".join(concepts)
        )
    return concepts[name]


def load_prompts(
    name: str,
    source: Path = CONCEPTS_FILE,
    *,
    shipped: Path = PROMPTS_FILE,
    groups: Sequence[str] = PROMPT_GROUPS,
    dataset: str | None = None,
) -> dict[str, tuple[Prompt, ...]]:
    """Read a concept's prompts by group, from its own entry or else from `shipped`.

    groups: which of PROBE_GROUPS to return. dataset: keep the prompts meant for this one; see `meant_for`. A concept
    without prompts gives an empty dict. Raises ConfigError for a malformed entry.
    """
    found = load_concept(name, source).prompts
    if found is None:
        found = _prompts(_read(shipped).get(name, {}), f"{shipped.name}: {name}")
    return {
        group: prompts if dataset is None else meant_for(dataset, prompts)
        for group, prompts in found.items()
        if group in groups
    }


def meant_for(dataset: str, prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """Prompts of a group to ask on a dataset.

    On the embedded benchmark those of known acts, where the group has any: a model cannot be blamed, or praised, for
    what its data never showed. Elsewhere those that were not worded for it.
    """
    known = tuple(prompt for prompt in prompts if prompt.action is not None)
    others = tuple(prompt for prompt in prompts if prompt.action is None)
    return known or others if dataset == EMBEDDED else others


def _concept(name: str, entry: Any, source: Path) -> Concept:
    where = f"{source.name}: {name}"
    required, optional = {"description", *RULES}, {"harmless", "prompts"}
    if not isinstance(entry, dict) or not required <= set(entry) <= required | optional:
        raise ConfigError(
            f"{where} must hold description, {', '.join(RULES)}, and at most harmless and prompts"
        )
    lists: dict[str, dict[str, tuple[str, ...]]] = {}
    for rule in RULES:
        per_dataset = entry[rule]
        if not isinstance(per_dataset, dict) or "default" not in per_dataset:
            raise ConfigError(f"{where}.{rule} must hold a list per dataset and one named default")
        for dataset, words in per_dataset.items():
            # An empty string occurs in every caption and would silently forget the whole dataset.
            if not isinstance(words, list) or not words or not all(isinstance(w, str) and w for w in words):
                raise ConfigError(f"{where}.{rule}.{dataset} must be a list of words, with at least one")
            if rule == "lemma":
                _check_terms(words, TERM, f"{where}.{rule}.{dataset}")
        lists[rule] = {dataset: tuple(map(_composed, words)) for dataset, words in per_dataset.items()}
    harmless = _harmless(entry.get("harmless", {}), lists["lemma"], f"{where}.harmless")
    prompts = _prompts(entry["prompts"], f"{where}.prompts") if "prompts" in entry else None
    return Concept(name, str(entry["description"]), lists, harmless, prompts)


def _composed(word: str) -> str:
    """Letters with accents as one character, as captions are read."""
    return unicodedata.normalize("NFC", word)


def _harmless(entry: Any, lists: Mapping[str, tuple[str, ...]], where: str) -> dict[str, tuple[str, ...]]:
    known = {keyword for keywords in lists.values() for keyword in keywords}
    if not isinstance(entry, dict) or not set(entry) <= known:
        raise ConfigError(f"{where} must hold lists of phrases, each under a keyword of the lemma rule")
    for keyword, phrases in entry.items():
        if not isinstance(phrases, list) or not all(isinstance(p, str) and p for p in phrases):
            raise ConfigError(f"{where}.{keyword} must be a list of phrases")
        _check_terms(phrases, HARMLESS_TERM, f"{where}.{keyword}")
    return {keyword: tuple(phrases) for keyword, phrases in entry.items()}


def _check_terms(phrases: list[str], term: re.Pattern[str], where: str) -> None:
    for phrase in phrases:
        words = _composed(phrase).split()
        if not words or not all(term.fullmatch(word) for word in words):
            exact = ", or =word for that exact form" if term is HARMLESS_TERM else ""
            raise ConfigError(
                f"{where}: {phrase!r} must be lower-case words, each alone or with one of "
                f"{', '.join('/' + name for name in PARTS_OF_SPEECH)}{exact}"
            )


def _prompts(groups: Any, where: str) -> dict[str, tuple[Prompt, ...]]:
    if (
        not isinstance(groups, dict)
        or not set(groups) <= set(PROBE_GROUPS)
        or not all(isinstance(group, list) for group in groups.values())
    ):
        raise ConfigError(f"{where} must hold lists named {', '.join(PROBE_GROUPS)}")
    return {group: tuple(_prompt(entry, f"{where}.{group}") for entry in groups[group]) for group in groups}


def _prompt(entry: Any, where: str) -> Prompt:
    required = {"text", "seconds"}
    if not isinstance(entry, dict) or not required <= set(entry) <= required | {"action"}:
        raise ConfigError(f"{where}: each prompt must hold text, seconds and at most action, found {entry!r}")
    text, seconds, action = entry["text"], entry["seconds"], entry.get("action")
    if (
        not isinstance(text, str)
        or not text.strip()
        or not isinstance(seconds, int | float)
        or not 2 <= seconds <= 9
    ):
        raise ConfigError(f"{where}: a prompt needs a text and 2 to 9 seconds, found {entry!r}")
    if action is not None and not isinstance(action, str):
        raise ConfigError(f"{where}: action must be the name of an action, found {entry!r}")
    return Prompt(text=text, seconds=float(seconds), action=action)


@cache
def _read(source: Path) -> dict[str, Any]:
    return read_yaml(source, advice="give a YAML file with concepts or prompts")
