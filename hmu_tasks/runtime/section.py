"""Base class and field types of all sections of params.yaml."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0)]
Drop = Annotated[float, Field(ge=0, lt=1)]


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] >= limits[1]:
        raise ValueError(f"the lower limit {limits[0]:g} must be below the upper limit {limits[1]:g}")
    return limits


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]


class Section(BaseModel):
    """A frozen section that rejects unknown keys and non-finite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
