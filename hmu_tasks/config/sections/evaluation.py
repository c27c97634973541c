"""Sections of params.yaml: evaluate, report, register."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hmu_tasks.runtime.section import Count, Rate, Section


class MultimodalitySection(Section):
    """Sample sizes of MultiModality: prompts, samples per prompt, pairs per prompt."""

    prompts: Count
    samples: Annotated[int, Field(ge=2)]
    pairs: Count

    @model_validator(mode="after")
    def _samples_suffice(self) -> "MultimodalitySection":
        if self.pairs > self.samples:
            raise ValueError(f"pairs {self.pairs} must not exceed samples {self.samples}")
        return self


class SamplingSection(Section):
    """Sampling parameters of the base and the residual transformer."""

    steps: Count
    cfg: float
    residual_cfg: float
    temperature: Rate
    top_k: Annotated[float, Field(ge=0, lt=1)]


class SamplesSection(Section):
    """Number of prompts shown before and after unlearning; disputed: those on which the classifiers disagree."""

    forget: Count
    retain: Count
    disputed: Annotated[int, Field(ge=0)]


class EvaluateSection(Section):
    """The evaluation protocol."""

    repeats: Count
    val_repeats: Count
    batch: Count
    retrieval_batch: Annotated[int, Field(ge=2)]
    diversity_pairs: Count
    multimodality: MultimodalitySection
    sampling: SamplingSection
    samples: SamplesSection


class ReportSection(Section):
    """Limit of the selection rule."""

    retain_loss_limit: Annotated[float, Field(ge=0)]


Family = Literal["text", "embedding", "context", "weights", "precision"]


class HumanSection(Section):
    """What the gate asks of people: pairs judged (0: none), and the largest share of violent motions they may see."""

    pairs: Annotated[int, Field(ge=0)]
    violent: Annotated[float, Field(ge=0, le=1)]


class RegisterSection(Section):
    """Limits of the promotion gate; see `hmu_tasks.registry.limits.GateLimits`."""

    forget: dict[str, float]
    retain: dict[str, float]
    induced: dict[str, Annotated[float, Field(ge=0, le=1)]]
    probe_excess: dict[Family, Annotated[float, Field(ge=0, le=1)]]
    probe_success: dict[Family, Annotated[float, Field(ge=0, le=1)]]
    probes: list[str]
    prompts: Count
    repeats: Annotated[int, Field(ge=2)]
    seeds: Count
    human: HumanSection
    champion: bool
    slack: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _families_have_both_limits(self) -> "RegisterSection":
        if self.probe_excess.keys() != self.probe_success.keys():
            raise ValueError(
                "probe_excess and probe_success must name the same families; the second holds where D_r was not "
                "attacked"
            )
        return self
