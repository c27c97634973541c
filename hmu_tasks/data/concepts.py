"""Concepts: what is to be forgotten, as data (keywords per dataset and rule, hand-written prompts for probing)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hmu_tasks.errors import ConfigError

Rule = Literal["substring", "lemma"]
RULES: Final[tuple[Rule, ...]] = ("substring", "lemma")
PROMPT_GROUPS: Final = ("explicit", "implicit", "benign", "hard_benign")
PARTS_OF_SPEECH: Final = ("NOUN", "VERB", "ADJ", "ADV")

CONCEPTS_FILE: Final = Path(__file__).with_name("concepts.yaml")
PROMPTS_FILE: Final = Path(__file__).with_name("prompts.yaml")


@dataclass(frozen=True)
class Prompt:
    """A hand-written description of one human motion, and how many seconds it lasts."""

    text: str
    seconds: float


@dataclass(frozen=True)
class Concept:
    """A concept by name, with its keywords per rule and dataset; `default` serves datasets that are not named."""

    name: str
    description: str
    lists: Mapping[str, Mapping[str, tuple[str, ...]]]

    def keywords(self, rule: str, dataset: str) -> tuple[str, ...]:
        """Keywords of a rule for a dataset: plain strings (`substring`), or words with an optional /POS (`lemma`)."""
        if rule not in RULES:
            raise ConfigError(f"unknown rule {rule!r}; choose one of {', '.join(RULES)}")
        per_dataset = self.lists[rule]
        return per_dataset.get(dataset, per_dataset["default"])


def load_concepts(source: Path = CONCEPTS_FILE) -> dict[str, Concept]:
    """Read every concept of a YAML file, by name; raises ConfigError that names the entry and what is wrong with it."""
    return {name: _concept(name, entry, source) for name, entry in _read(source).items()}


def load_concept(name: str, source: Path = CONCEPTS_FILE) -> Concept:
    """Read one concept; raises ConfigError that lists the choices when there is none of that name."""
    concepts = load_concepts(source)
    if name not in concepts:
        raise ConfigError(f"unknown concept {name!r} (run.concept); {source.name} has {', '.join(concepts)}")
    return concepts[name]


def load_prompts(concept: str, source: Path = PROMPTS_FILE) -> dict[str, tuple[Prompt, ...]]:
    """Read the hand-written prompts of a concept by group (explicit, implicit, benign, hard_benign).

    A concept without prompts gives an empty dict. Raises ConfigError for a malformed entry.
    """
    groups = _read(source).get(concept, {})
    if not isinstance(groups, dict) or not set(groups) <= set(PROMPT_GROUPS):
        raise ConfigError(f"{source.name}: {concept} must hold lists named {', '.join(PROMPT_GROUPS)}")
    return {
        group: tuple(_prompt(entry, f"{source.name}: {concept}.{group}") for entry in groups[group])
        for group in groups
    }


def _concept(name: str, entry: Any, source: Path) -> Concept:
    where = f"{source.name}: {name}"
    if not isinstance(entry, dict) or set(entry) != {"description", *RULES}:
        raise ConfigError(f"{where} must hold exactly description, {', '.join(RULES)}")
    lists: dict[str, dict[str, tuple[str, ...]]] = {}
    for rule in RULES:
        per_dataset = entry[rule]
        if not isinstance(per_dataset, dict) or "default" not in per_dataset:
            raise ConfigError(f"{where}.{rule} must hold a list per dataset and one named default")
        for dataset, words in per_dataset.items():
            # An empty string occurs in every caption: it would silently forget the whole set.
            if not isinstance(words, list) or not words or not all(isinstance(w, str) and w for w in words):
                raise ConfigError(f"{where}.{rule}.{dataset} must be a list of words, with at least one")
            if rule == "lemma":
                _check_lemmas(words, f"{where}.{rule}.{dataset}")
        lists[rule] = {dataset: tuple(words) for dataset, words in per_dataset.items()}
    return Concept(name=name, description=str(entry["description"]), lists=lists)


def _check_lemmas(words: list[str], where: str) -> None:
    for keyword in words:
        word, slash, pos = keyword.partition("/")
        if (
            word != word.casefold()
            or any(c.isspace() for c in word)
            or (slash and pos not in PARTS_OF_SPEECH)
        ):
            raise ConfigError(
                f"{where}: {keyword!r} must be one lower-case word, alone or with one of "
                f"{', '.join('/' + name for name in PARTS_OF_SPEECH)}"
            )


def _prompt(entry: Any, where: str) -> Prompt:
    if not isinstance(entry, dict) or set(entry) != {"text", "seconds"}:
        raise ConfigError(f"{where}: each prompt must hold exactly text and seconds, found {entry!r}")
    text, seconds = entry["text"], entry["seconds"]
    if (
        not isinstance(text, str)
        or not text.strip()
        or not isinstance(seconds, int | float)
        or not 2 <= seconds <= 9
    ):
        raise ConfigError(f"{where}: a prompt needs a text and 2 to 9 seconds, found {entry!r}")
    return Prompt(text=text, seconds=float(seconds))


@cache
def _read(source: Path) -> dict[str, Any]:
    try:
        values = YAML(typ="safe", pure=True).load(source.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{source} is missing; give a YAML file with concepts or prompts") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source} is no valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{source} must hold a mapping of names, found {type(values).__name__}")
    return values
