"""Section of params.yaml: probe."""

from typing import TYPE_CHECKING, Annotated, Literal, get_args

from pydantic import Field, model_validator

from hmu_tasks.methods.method import require_distinct
from hmu_tasks.models import MODELS, model_named
from hmu_tasks.runtime.section import Count, Rate, Section, Share

if TYPE_CHECKING:
    RestorablePart = str
else:
    # Tokenizer and networks of all models; an attack leaves out what a model does not have.
    RestorablePart = Literal[
        *dict.fromkeys(p for name in MODELS for p in model_named(name).parts if p != "text")
    ]


class EmbeddingSection(Section):
    """Attacks on the embedded text; see `hmu_tasks.probes.embedding.Budget`."""

    radius: list[Annotated[float, Field(gt=0, le=10)]]  # beyond, logits are no longer numbers
    ridge: Rate
    steps: Count
    restarts: Count
    targets: Count

    @model_validator(mode="after")
    def _values_are_distinct(self) -> "EmbeddingSection":
        require_distinct(self, "radius")
        return self


class RelearningSection(Section):
    """Attacks that train on a few clips; see `hmu_tasks.probes.tampering.Relearning`."""

    shots: list[Count]
    steps: list[Count]
    rates: list[Rate]
    batch: Count
    draws: Count
    safe_shots: Annotated[int, Field(ge=0)]
    rows: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _values_are_distinct(self) -> "RelearningSection":
        require_distinct(self, "shots", "steps", "rates")
        return self


ALWAYS = {
    "text": ("none", "misspelling", "inserted", "empty", "paraphrase", "synonym", "implicit"),
    "context": ("context",),
    "weights": ("swap-text", "swap-tokenizer"),
    "oversuppression": ("benign", "hard_benign"),
}
"""Attacks by family that no knob leaves out; hand-written prompts need a concept that has them."""


class ProbeSection(Section):
    """Parameters of the attacks."""

    edits: Literal["first", "all"]
    prompts: Annotated[int, Field(ge=2)]
    costly_prompts: Annotated[int, Field(ge=2)]
    repeats: Count
    retrieved: Count
    suppression_level: Share
    embedding: EmbeddingSection
    relearning: RelearningSection
    revival: list[Literal["nearest", "similar", "predicted", "avoided", "original"]]
    restored: list[RestorablePart]
    precision: list[Literal["bf16", "int8", "int4", "pruned20"]]

    @property
    def attacks(self) -> tuple[str, ...]:
        """Families and attacks that are run, by the names that records have."""
        known, found = self.relearning, {family: list(names) for family, names in ALWAYS.items()}
        moved = ("closed-form", "gradient", "shared")
        found["embedding"] = [f"{name}-{radius:g}" for name in moved for radius in self.embedding.radius]
        trained = [(name, shots) for name in ("relearning", "regrowth") for shots in known.shots]
        trained = [(name, shots) for name, shots in trained if name != "regrowth" or known.rows]
        trained += [("safe-tuning", known.safe_shots)] if known.safe_shots else []
        rates = [f"@{rate:g}" if len(known.rates) > 1 else "" for rate in known.rates]
        found["weights"] += [
            f"{name}-{shots}x{steps}{rate}"
            for name, shots in trained
            for steps in known.steps
            for rate in rates
        ]
        found["weights"] += [f"revival-{name}" for name in self.revival]
        found["restoration"] = [f"restored-{name}" for name in self.restored]
        found["precision"] = list(self.precision)
        families = [family for family, names in found.items() if names]
        return (*families, *(name for names in found.values() for name in names))

    @property
    def left_out(self) -> tuple[str, ...]:
        """Families and attacks that a list of choices may leave out for the sake of time; a gate may ask for them."""
        fields = {"weights": "revival", "restoration": "restored", "precision": "precision"}
        found: list[str] = []
        for family, name in fields.items():
            (choice,) = get_args(type(self).model_fields[name].annotation)
            found += [family, *(one if name == "precision" else f"{name}-{one}" for one in get_args(choice))]
        return tuple(found)

    @model_validator(mode="after")
    def _names_are_distinct(self) -> "ProbeSection":
        for name in ("revival", "restored", "precision"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name} has duplicates: {', '.join(values)}")
        return self
