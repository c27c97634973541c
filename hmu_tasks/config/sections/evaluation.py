"""Sections of params.yaml about evaluation, report and gate."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hmu_tasks.config.sections.section import Count, Rate, Section


class Multimodality(Section):
    """Prompts, samples per prompt, pairs per prompt."""

    prompts: Count
    samples: Annotated[int, Field(ge=2)]
    pairs: Count

    @model_validator(mode="after")
    def _samples_suffice(self) -> "Multimodality":
        if self.pairs > self.samples:
            raise ValueError(f"pairs {self.pairs} must not exceed samples {self.samples}")
        return self


class Sampling(Section):
    """Decoding of the masked and the residual transformer."""

    steps: Count
    cfg: float
    residual_cfg: float
    temperature: Rate
    top_k: Annotated[float, Field(ge=0, lt=1)]


class Samples(Section):
    """How many prompts are shown before and after."""

    forget: Count
    retain: Count


class Evaluate(Section):
    """The evaluation protocol."""

    repeats: Count
    val_repeats: Count
    batch: Count
    retrieval_batch: Annotated[int, Field(ge=2)]
    diversity_pairs: Count
    multimodality: Multimodality
    sampling: Sampling
    samples: Samples


class Report(Section):
    """The selection rule's limit."""

    retain_loss_limit: Annotated[float, Field(ge=0)]


class Register(Section):
    """The gate's limits; see `hmu_tasks.registry.gate.Limits`."""

    forget: dict[str, float]
    retain: dict[str, float]
    probe_success: dict[
        Literal["text", "embedding", "weights", "precision", "oversuppression"],
        Annotated[float, Field(ge=0, le=1)],
    ]
    probe_slack: Annotated[float, Field(ge=0, le=1)]
    probes: list[str]
    prompts: Count
    repeats: Annotated[int, Field(ge=2)]
    draws: Count
    champion: bool
    slack: Annotated[float, Field(ge=0)]
