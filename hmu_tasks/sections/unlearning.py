"""Sections of params.yaml about the unlearning methods."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hmu_tasks.sections.section import Count, Rate, Section


class Lcr(Section):
    """Latent Code Replacement."""

    codes: list[Annotated[int, Field(ge=0)]]
    seeds: list[Annotated[int, Field(ge=0)]]
    layers: list[Annotated[int, Field(ge=0)]]
    noise: Annotated[float, Field(ge=0)]
    support: Annotated[int, Field(ge=0)]
    score: Literal["ratio", "log_odds"]
    target: Literal["code", "retain_mean"]
    published: bool

    @model_validator(mode="after")
    def _lists_hold_something(self) -> "Lcr":
        for name in ("codes", "seeds", "layers"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{name} must be a list of distinct numbers, with at least one")
        return self


class TextEdit(Section):
    """What edits of the sentence vector's maps share: strengths in per cent, and the texts that they learn from."""

    strengths: list[Annotated[int, Field(ge=0, le=999)]]
    seeds: list[Annotated[int, Field(ge=0)]]
    texts: Literal["captions", "keywords"]
    captions: Count

    @model_validator(mode="after")
    def _lists_hold_something(self) -> "TextEdit":
        for name in ("strengths", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{name} must be a list of distinct numbers, with at least one")
        return self


class Uce(TextEdit):
    """Unified Concept Editing."""

    target: Literal["shifted", "empty"]
    erase: Rate
    preserve: Rate
    ridge: Rate
    published: bool


class Rece(Uce):
    """UCE with rounds against adversarial sentence vectors."""

    rounds: Annotated[int, Field(ge=0)]
    adversarial_ridge: Rate


class Erasure(TextEdit):
    """Linear concept erasure."""

    shrinkage: Rate


class Unlearn(Section):
    """One sub-section per method."""

    lcr: Lcr
    uce: Uce
    rece: Rece
    erasure: Erasure
    guidance: TextEdit
