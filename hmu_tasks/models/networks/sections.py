"""What the sections of trained networks share: training, and the sizes of a transformer."""

from typing import Annotated

from pydantic import Field, model_validator

from hmu_tasks.runtime.section import Count, Drop, Rate, Section


class Training(Section):
    """Optimiser steps, batch size and learning rate of one component."""

    steps: Count
    batch: Count
    rate: Rate


class Transformer(Training):
    """A transformer over codes."""

    latent: Annotated[int, Field(ge=8, multiple_of=2)]
    layers: Count
    heads: Count
    feedforward: Count
    dropout: Drop
    condition_drop: Drop

    @model_validator(mode="after")
    def _heads_divide(self) -> "Transformer":
        if self.latent % self.heads:
            raise ValueError(f"latent {self.latent} must be a multiple of heads {self.heads}")
        return self
