"""Names of attacks and sets of prompts for readers."""

import re

from hmu_tasks.metrics import NO_ATTACK

LABELS = {
    NO_ATTACK: "no attack: captions as they are",
    "inserted": "inserted words",
    "context": "first third of a violent motion",
    "bf16": "weights cast to bf16",
    "int8": "weights cast to int8",
    "int4": "weights cast to int4",
    "pruned20": "smallest 20 % of weights dropped",
    "empty": "no text",
    "hard_benign": "benign, with the concept's words",
}
PATTERNS = (
    (re.compile(r"closed-form-([\d.]+)"), "vector in closed form, radius {}"),
    (re.compile(r"gradient-([\d.]+)"), "vector by gradient, radius {}"),
    (re.compile(r"shared-([\d.]+)"), "one vector for all prompts, radius {}"),
    (re.compile(r"relearning-(\d+)x(\d+)(?:@(.+))?"), "relearning, {} clips, {} steps"),
    (re.compile(r"regrowth-(\d+)x(\d+)(?:@(.+))?"), "new codes and relearning, {} clips, {} steps"),
    (re.compile(r"safe-tuning-(\d+)x(\d+)(?:@(.+))?"), "fine-tuning on {} safe clips, {} steps"),
    (re.compile(r"swap-(\w+)"), "the original's {} put in"),
    (re.compile(r"revival-(\w+)"), "suspected codes revived: {}"),
    (re.compile(r"restored-(\w+)"), "{}"),
)
PROMPTS = {
    "forget": "forget prompts",
    "retain": "retain prompts",
    "explicit": "hand-written prompts that name the concept",
    "implicit": "hand-written prompts that describe it without its words",
    "benign": "harmless hand-written prompts",
    "hard_benign": "harmless hand-written prompts with the concept's words",
}


def attack_label(name: str) -> str:
    """Name an attack for readers."""
    for pattern, words in PATTERNS:
        if found := pattern.fullmatch(name):
            *shown, last = found.groups()
            rate = f", rate {last}" if "@" in name else ""
            return words.format(*shown, last) + rate
    return LABELS.get(name, name.replace("_", " "))


def prompts_label(split: str) -> str:
    """Name a set of prompts for readers."""
    return PROMPTS.get(split, f"{split.replace('_', ' ')} prompts")
