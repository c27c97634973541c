"""Sections of params.yaml about the unlearning methods."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hmu_tasks.config.sections.section import Count, Rate, Section


def _distinct(section: Section, *names: str) -> None:
    for name in names:
        values = getattr(section, name)
        if not values or len(set(values)) != len(values):
            raise ValueError(f"{name} must be a list of distinct numbers, with at least one")


class Lcr(Section):
    """Latent Code Replacement."""

    strengths: list[Annotated[int, Field(ge=0)]]
    seeds: list[Annotated[int, Field(ge=0)]]
    layers: list[Annotated[int, Field(ge=0)]]
    noise: Annotated[float, Field(ge=0)]
    support: Annotated[int, Field(ge=0)]
    score: Literal["ratio", "log_odds"]
    target: Literal["code", "retain_mean"]
    published: bool
    parts: dict[str, Count]

    @model_validator(mode="after")
    def _lists_hold_something(self) -> "Lcr":
        _distinct(self, "strengths", "seeds", "layers")
        return self


class TextEdit(Section):
    """What edits of the sentence vector's maps share: strengths in per cent, and the texts that they learn from."""

    strengths: list[Annotated[int, Field(ge=0, le=999)]]
    seeds: list[Annotated[int, Field(ge=0)]]
    texts: Literal["captions", "keywords"]
    captions: Count

    @model_validator(mode="after")
    def _lists_hold_something(self) -> "TextEdit":
        _distinct(self, "strengths", "seeds")
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


class Tuned(Section):
    """What methods that train on share: optimiser steps after which an edit is kept, batch size, learning rate."""

    strengths: list[Annotated[int, Field(ge=0)]]
    seeds: list[Annotated[int, Field(ge=0)]]
    batch: Count
    rate: Rate

    @model_validator(mode="after")
    def _lists_hold_something(self) -> "Tuned":
        _distinct(self, "strengths", "seeds")
        return self


class Npo(Tuned):
    """Negative preference optimisation, or gradient ascent, with a retain term."""

    loss: Literal["npo", "ascent"]
    beta: Rate
    retain_weight: Annotated[float, Field(ge=0)]


class Unlearn(Section):
    """One sub-section per method."""

    lcr: Lcr
    uce: Uce
    rece: Rece
    erasure: Erasure
    guidance: TextEdit
    finetune: Tuned
    npo: Npo
