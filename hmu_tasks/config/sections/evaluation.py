"""Sections of params.yaml: evaluate, report, register."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hmu_tasks.runtime.section import Count, Rate, Section


class Multimodality(Section):
    """Sample sizes of MultiModality: prompts, samples per prompt, pairs per prompt."""

    prompts: Count
    samples: Annotated[int, Field(ge=2)]
    pairs: Count

    @model_validator(mode="after")
    def _samples_suffice(self) -> "Multimodality":
        if self.pairs > self.samples:
            raise ValueError(f"pairs {self.pairs} must not exceed samples {self.samples}")
        return self


class Sampling(Section):
    """Sampling parameters of the base and the residual transformer."""

    steps: Count
    cfg: float
    residual_cfg: float
    temperature: Rate
    top_k: Annotated[float, Field(ge=0, lt=1)]


class Samples(Section):
    """Number of prompts shown before and after unlearning."""

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
    """Limit of the selection rule."""

    retain_loss_limit: Annotated[float, Field(ge=0)]


class Register(Section):
    """Limits of the promotion gate; see `hmu_tasks.registry.gate.Limits`."""

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
