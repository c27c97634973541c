"""Section of params.yaml: probe."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

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

    radius: Annotated[float, Field(gt=0, le=10)]  # beyond, logits are no longer numbers
    ridge: Rate
    steps: Count
    targets: Count


class RelearningSection(Section):
    """Relearning attack on a few forget clips; see `hmu_tasks.probes.tampering.Relearning`."""

    shots: list[Count]
    steps: list[Count]
    rate: Rate
    batch: Count
    safe_shots: Annotated[int, Field(ge=0)]
    rows: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _values_are_distinct(self) -> "RelearningSection":
        for name in ("shots", "steps"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{name} must be a list of distinct numbers, with at least one")
        return self


ALWAYS = {
    "text": ("none", "misspelling", "inserted", "empty", "paraphrase", "synonym", "implicit"),
    "embedding": ("closed-form", "gradient"),
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
        relearning, found = self.relearning, {family: list(names) for family, names in ALWAYS.items()}
        trained = [("relearning", shots) for shots in relearning.shots]
        trained += [("regrowth", shots) for shots in relearning.shots if relearning.rows]
        trained += [("safe-tuning", relearning.safe_shots)] if relearning.safe_shots else []
        found["weights"] += [
            f"{name}-{shots}x{steps}" for name, shots in trained for steps in relearning.steps
        ]
        found["weights"] += [f"revival-{name}" for name in self.revival]
        found["restoration"] = [f"restored-{name}" for name in self.restored]
        found["precision"] = list(self.precision)
        families = [family for family, names in found.items() if names]
        return (*families, *(name for names in found.values() for name in names))

    @model_validator(mode="after")
    def _names_are_distinct(self) -> "ProbeSection":
        for name in ("revival", "restored", "precision"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name} has duplicates: {', '.join(values)}")
        return self
