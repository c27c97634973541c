"""Sections of params.yaml: ingest, filter, validate."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from hmu_tasks.config.sections.section import Count, Range, Rate, Section, Share


class Synthetic(Section):
    """Size and composition of the embedded benchmark."""

    clips: Annotated[int, Field(ge=40)]
    val: Annotated[int, Field(ge=16)]
    test: Annotated[int, Field(ge=16)]
    forget_share: Share
    eval_forget_share: Share


class Bvh(Section):
    """A folder of BVH files with a captions table."""

    folder: Path
    captions: Path
    skeleton: str
    units: Literal["auto", "m", "cm", "inch"] | Rate
    up: Literal["auto", "y", "z"]
    mirror: bool
    longest: Annotated[int, Field(ge=4)]
    on_bad: Literal["error", "skip"]


class Ingest(Section):
    """How raw clips are read."""

    source: Path
    fps: Annotated[float, Field(gt=0)] | None
    min_frames: Annotated[int, Field(ge=4)]
    max_frames: Annotated[int, Field(ge=8)]
    on_bad: Literal["error", "skip"]
    synthetic: Synthetic
    bvh: Bvh

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> "Ingest":
        if self.min_frames >= self.max_frames:
            raise ValueError(f"min_frames {self.min_frames} must be below max_frames {self.max_frames}")
        return self


class Filter(Section):
    """Rule that separates forget from retain clips, and the user's own concepts file."""

    rule: Literal["lemma", "substring"]
    matches: Count
    concepts: Path


class Validate(Section):
    """Limits of the data contracts."""

    forget_share: Range
    bone_drift: Rate
    root_height: Range
