"""The only reader of params.yaml: one frozen model per section, so that a typo fails at once with its key path."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hmu_tasks.errors import ConfigError

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
    """A frozen section that refuses unknown keys and numbers that are not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Run(Section):
    """What is run: dataset, concept, seed, device, tracking."""

    dataset: Literal["synthetic", "humanml3d"]
    concept: str
    seed: Annotated[int, Field(ge=0)]
    device: Literal["auto", "cpu", "cuda"]
    track: bool


class Synthetic(Section):
    """Size and make-up of the embedded benchmark."""

    clips: Annotated[int, Field(ge=40)]
    val: Annotated[int, Field(ge=16)]
    test: Annotated[int, Field(ge=16)]
    forget_share: Share
    eval_forget_share: Share


class Ingest(Section):
    """How raw clips are read."""

    source: Path
    min_frames: Annotated[int, Field(ge=4)]
    max_frames: Annotated[int, Field(ge=8)]
    on_bad: Literal["error", "skip"]
    synthetic: Synthetic

    @model_validator(mode="after")
    def _some_length_is_left(self) -> "Ingest":
        if self.min_frames >= self.max_frames:
            raise ValueError(f"min_frames {self.min_frames} must be below max_frames {self.max_frames}")
        return self


class Filter(Section):
    """Which rule splits forget from retain."""

    rule: Literal["lemma", "substring"]
    matches: Count


class Validate(Section):
    """Limits of the data contracts."""

    forget_share: Range
    bone_drift: Rate
    root_height: Range


class Training(Section):
    """Optimiser steps, batch size and learning rate of one component."""

    steps: Count
    batch: Count
    rate: Rate


class Transformer(Training):
    """A masked or residual transformer."""

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


class Text(Training):
    """The text encoder: a small one that is trained here, or CLIP from a folder."""

    encoder: Literal["small", "clip"]
    clip_folder: Path
    width: Annotated[int, Field(ge=8, multiple_of=2)]
    word_width: Count
    motion_hidden: Count


class Evaluator(Training):
    """The text-motion evaluator."""

    movement_width: Count
    hidden: Count
    width: Count


class Tokenizer(Training):
    """The RVQ-VAE tokenizer."""

    width: Count
    code_width: Count
    codes: Annotated[int, Field(ge=2)]
    quantizers: Count
    depth: Count
    dropout: Drop
    sample_temperature: Annotated[float, Field(ge=0)]
    positions_weight: Annotated[float, Field(ge=0)]
    feature_bias: Rate
    window: Annotated[int, Field(ge=8, multiple_of=4)]


class Base(Section):
    """The text-to-motion models' own base transformers, by model name."""

    momask: Transformer


class Classifier(Training):
    """The motion-side violence classifier (only for datasets with action labels)."""

    width: Count


class Train(Section):
    """Every trained component."""

    text: Text
    evaluator: Evaluator
    tokenizer: Tokenizer
    base: Base
    residual: Transformer
    classifier: Classifier


class Codebook(Section):
    """Code usage analysis."""

    batch: Count
    prior: Rate


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


class Unlearn(Section):
    """One sub-section per method."""

    lcr: Lcr


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
    sweep_repeats: Count
    batch: Count
    retrieval_batch: Annotated[int, Field(ge=2)]
    diversity_pairs: Count
    multimodality: Multimodality
    sampling: Sampling
    samples: Samples


class Report(Section):
    """The selection rule's limit."""

    retain_loss_limit: Annotated[float, Field(ge=0)]


class Params(Section):
    """All of params.yaml."""

    run: Run
    ingest: Ingest
    filter: Filter
    validate_: Annotated[Validate, Field(alias="validate")]
    train: Train
    codebook: Codebook
    unlearn: Unlearn
    evaluate: Evaluate
    report: Report

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the text-to-motion models."""
        return tuple(Base.model_fields)

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of what is made of a model: itself, D_r, and every unlearning method."""
        return ("original", "retrain", *Unlearn.model_fields)

    @model_validator(mode="after")
    def _codes_fit(self) -> "Params":
        most = self.train.tokenizer.codes
        if max(self.unlearn.lcr.codes) >= most:
            raise ValueError(
                f"unlearn.lcr.codes asks for {max(self.unlearn.lcr.codes)} codes, "
                f"but train.tokenizer.codes is {most}: at least one code must stay"
            )
        if max(self.unlearn.lcr.layers) >= self.train.tokenizer.quantizers:
            raise ValueError(
                f"unlearn.lcr.layers names layer {max(self.unlearn.lcr.layers)}, "
                f"but train.tokenizer.quantizers is {self.train.tokenizer.quantizers}"
            )
        return self


def parse(values: dict[str, Any], source: str) -> Params:
    """Check `values` (the content of a params.yaml) and freeze it.

    Raises ConfigError that lists every faulty key path with what is allowed there.
    """
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        lines = []
        for item in error.errors():
            where = ".".join(str(part) for part in item["loc"])
            message = item["msg"].removeprefix("Value error, ")
            if item["type"] == "extra_forbidden":
                message = f"unknown key; allowed here: {', '.join(_allowed(item['loc'][:-1]))}"
            elif item["type"] == "missing":
                message = "missing key"
            else:
                given = "" if isinstance(item["input"], dict | BaseModel) else f" (given: {item['input']!r})"
                message += given
            lines.append(f"  {where + ': ' if where else ''}{message}")
        raise ConfigError(f"{source} is not valid:\n" + "\n".join(lines)) from error


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml; raises ConfigError when it is missing, no YAML, or invalid."""
    return parse(read_yaml(path), str(path))


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; raises ConfigError naming the file and the line of a fault."""
    try:
        values = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; run from the project's root folder") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold a mapping of sections, found {type(values).__name__}")
    return values


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested knobs to dotted names, as experiment trackers want them."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def _allowed(location: tuple[int | str, ...]) -> list[str]:
    """Names that are allowed at a key path."""
    model: type[BaseModel] = Params
    for part in location:
        for name, info in model.model_fields.items():
            if part in (name, info.alias) and isinstance(info.annotation, type):
                model = info.annotation
    return [info.alias or name for name, info in model.model_fields.items()]
