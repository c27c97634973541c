"""Sections of params.yaml: ingest, filter, validate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, create_model, model_validator

from hmu_tasks.data.datasets import DATASETS, dataset_named
from hmu_tasks.runtime.section import Count, Range, Rate, Section

MOST_FRAMES = 200
"""Bound of clips' lengths: cut to whole tokens, the longest has the evaluator's `max_frames`, 196."""


class _CommonIngestSection(Section):
    """How raw clips are read."""

    source: Path
    fps: Annotated[float, Field(gt=0)] | None
    min_frames: Annotated[int, Field(ge=4)]
    max_frames: Annotated[int, Field(ge=8)]
    on_bad: Literal["error", "skip"]

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> "_CommonIngestSection":
        if self.min_frames >= self.max_frames:
            raise ValueError(f"min_frames {self.min_frames} must be below max_frames {self.max_frames}")
        if self.max_frames > MOST_FRAMES:
            raise ValueError(
                f"max_frames is {self.max_frames}, but the evaluator reads motions of up to {MOST_FRAMES - 4} frames: "
                f"lower it to {MOST_FRAMES}, which itself is left out, and cut longer motions into parts"
            )
        return self


if TYPE_CHECKING:

    class IngestSection(_CommonIngestSection):
        """Sections of single datasets follow from DATASETS."""
else:
    IngestSection = create_model(
        "IngestSection",
        __base__=_CommonIngestSection,
        __doc__=_CommonIngestSection.__doc__,
        **{
            dataset.name: (dataset.section, ...)
            for dataset in map(dataset_named, DATASETS)
            if dataset.section is not None
        },
    )


class FilterSection(Section):
    """Rule that separates forget from retain clips, and the user's own concepts file."""

    rule: Literal["lemma", "substring"]
    matches: Count
    concepts: Path


class ValidateSection(Section):
    """Limits of the data contracts."""

    forget_share: Range
    bone_drift: Rate
    root_height: Range
    token_share: Annotated[float, Field(ge=0, le=1)]
