"""Section of params.yaml: probe."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hmu_tasks.config.sections.section import Count, Rate, Section, Share


class Embedding(Section):
    """Attacks on the sentence vector; see `hmu_tasks.probes.embedding.Budget`."""

    radius: Rate
    ridge: Rate
    steps: Count
    targets: Count


class Relearning(Section):
    """Relearning attack on a few forget clips; see `hmu_tasks.probes.tampering.Relearning`."""

    shots: list[Count]
    steps: list[Count]
    rate: Rate
    batch: Count

    @model_validator(mode="after")
    def _values_are_distinct(self) -> "Relearning":
        for name in ("shots", "steps"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{name} must be a list of distinct numbers, with at least one")
        return self


class Probe(Section):
    """Parameters of the attacks."""

    edits: Literal["first", "all"]
    prompts: Annotated[int, Field(ge=2)]
    repeats: Count
    retrieved: Count
    suppression_level: Share
    embedding: Embedding
    relearning: Relearning
    revival: list[Literal["nearest", "similar", "predicted", "avoided"]]
    restored: list[Literal["tokenizer", "base", "residual"]]
    precision: list[Literal["bf16", "int8"]]

    @model_validator(mode="after")
    def _names_are_distinct(self) -> "Probe":
        for name in ("revival", "restored", "precision"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name} has duplicates: {', '.join(values)}")
        return self
