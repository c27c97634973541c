"""Sections of params.yaml about training and what is read from official checkpoints."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, create_model, model_validator

from hmu_tasks.models import MODELS, model_named
from hmu_tasks.models.networks.sections import Training, Transformer
from hmu_tasks.runtime.section import Count, Drop, Rate, Section


class TextSection(Training):
    """The text encoder: a small one that is trained here, alone or beside a frozen MiniLM, or CLIP from a folder.

    words: the most words of a caption that transformers read beside its sentence vector; the encoder's configuration
    carries the number to them. minilm_sha256: of the weights in `minilm_folder`. minilm_directions: principal
    directions of its sentence vectors that are read beside the small encoder's.
    """

    encoder: Literal["small", "clip", "small+minilm"]
    clip_folder: Path
    minilm_folder: Path
    minilm_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    minilm_directions: Annotated[int, Field(ge=1, le=384)]
    width: Annotated[int, Field(ge=8, multiple_of=2)]
    words: Annotated[int, Field(ge=0, le=48)]
    word_width: Count
    motion_hidden: Count

    @model_validator(mode="after")
    def _clip_gives_one_vector(self) -> "TextSection":
        if self.encoder == "clip" and self.words:
            raise ValueError(
                f"words is {self.words}, but CLIP gives one vector for a caption; set words to 0 beside encoder clip"
            )
        return self


class EvaluatorSection(Training):
    """The text-motion evaluator."""

    movement_width: Count
    motion_hidden: Count
    text_hidden: Count
    width: Count


class TokenizerSection(Training):
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


_MODELS = [model_named(name) for name in MODELS]

if TYPE_CHECKING:

    class BaseSection(Section):
        """Fields follow from MODELS."""

    class PretrainedBaseSection(Section):
        """Fields follow from MODELS."""
else:
    BaseSection = create_model(
        "BaseSection",
        __base__=Section,
        __doc__="The network that belongs to each text-to-motion model alone, by model.",
        **{model.name: (model.section, ...) for model in _MODELS},
    )
    PretrainedBaseSection = create_model(
        "PretrainedBaseSection",
        __base__=Section,
        __doc__="Official checkpoints of the models that have one, by model.",
        **{model.name: (Path, ...) for model in _MODELS if model.official is not None},
    )


class ClassifierNetworkSection(Training):
    """One of the violence classifiers."""

    width: Count


class ClassifierSection(Section):
    """The motion-side violence classifiers (only for datasets with action labels).

    negatives: generated motions that are safe by their captions. resampled: training clips whose further layers are
    sampled anew. false_alarms: share of D_r's motions that a classifier may flag.
    """

    negatives: Annotated[int, Field(ge=0)]
    resampled: Annotated[int, Field(ge=0)]
    false_alarms: Annotated[float, Field(ge=0, lt=1)]
    convolution: ClassifierNetworkSection
    recurrent: ClassifierNetworkSection


class PretrainedSection(Section):
    """Where official checkpoints lie: `source`, and the folders (or .tar files) within it."""

    source: Path
    retrain: str
    tokenizer: Path
    base: PretrainedBaseSection
    residual: Path
    length: Path | None
    evaluator: Path
    evaluator_options: Path
    glove: Path


class TrainSection(Section):
    """Every component, trained here or taken from official checkpoints."""

    mode: Literal["scratch", "pretrained"]
    pretrained: PretrainedSection
    text: TextSection
    evaluator: EvaluatorSection
    tokenizer: TokenizerSection
    base: BaseSection
    residual: Transformer
    classifier: ClassifierSection

    @model_validator(mode="after")
    def _published_models_read_clip(self) -> "TrainSection":
        if self.mode == "pretrained" and self.text.encoder != "clip":
            raise ValueError(
                "mode pretrained needs text.encoder clip: the published models read CLIP's vectors"
            )
        return self


class CodebookSection(Section):
    """Code usage analysis."""

    prior: Rate
