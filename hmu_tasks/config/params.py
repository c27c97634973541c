"""The only reader of params.yaml: frozen models of all sections, so that a typo fails at once with its key path."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from hmu_tasks.config.sections.data import FilterSection, IngestSection, ValidateSection
from hmu_tasks.config.sections.evaluation import EvaluateSection, RegisterSection, ReportSection
from hmu_tasks.config.sections.probing import ProbeSection
from hmu_tasks.config.sections.training import BaseSection, CodebookSection, TrainSection
from hmu_tasks.config.sections.unlearning import UnlearnSection
from hmu_tasks.data.datasets import DATASETS, dataset_named
from hmu_tasks.methods import METHODS
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.models import model_named
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.runtime.section import Section
from hmu_tasks.runtime.yaml_files import read_yaml

if TYPE_CHECKING:
    DatasetName = str
else:
    DatasetName = Literal[*DATASETS]


class RunSection(Section):
    """What is run: dataset, concept, seed, device, tracking; models, methods and trainings, which dvc.yaml crosses."""

    dataset: DatasetName
    concept: str
    seed: Annotated[int, Field(ge=0)]
    device: Literal["auto", "cpu", "cuda"]
    track: bool
    models: list[str]
    methods: list[str]
    trainings: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class Params(Section):
    """All of params.yaml."""

    run: RunSection
    ingest: IngestSection
    filter: FilterSection
    validate_: Annotated[ValidateSection, Field(alias="validate")]
    train: TrainSection
    codebook: CodebookSection
    unlearn: UnlearnSection
    evaluate: EvaluateSection
    probe: ProbeSection
    report: ReportSection
    register_: Annotated[RegisterSection, Field(alias="register")]

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the text-to-motion models."""
        return tuple(BaseSection.model_fields)

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of what is made of a model: itself, D_r, and every unlearning method."""
        return (*ENDS, *METHODS)

    def training(self, number: int | None) -> int:
        """Return the number of a training, the first without one; ConfigError where run.trainings does not name it."""
        known = self.run.trainings
        if number is not None and number not in known:
            raise ConfigError(f"unknown training {number}; run.trainings names {', '.join(map(str, known))}")
        return known[0] if number is None else number

    def check(self, model: str, method: str) -> None:
        """Raise ConfigError where `model` or `method` is unknown."""
        for kind, name, known in (("model", model, self.models), ("method", method, self.methods)):
            if name not in known:
                raise ConfigError(f"unknown {kind} {name!r}; choose one of {', '.join(known)}")

    def identity(self, model: str, method: str) -> dict[str, str]:
        """Identify records by dataset, concept, model and method."""
        return {"dataset": self.run.dataset, "concept": self.run.concept, "model": model, "method": method}

    @model_validator(mode="after")
    def _run_names_what_exists(self) -> "Params":
        for name, chosen, known in (
            ("models", self.run.models, self.models),
            ("methods", self.run.methods, tuple(METHODS)),
        ):
            unknown = [one for one in chosen if one not in known]
            if unknown or not chosen or len(set(chosen)) != len(chosen):
                raise ValueError(
                    f"run.{name} is {', '.join(chosen) or 'empty'}; name one or more of {', '.join(known)}, each once"
                )
        if len(set(self.run.trainings)) != len(self.run.trainings):
            raise ValueError(f"run.trainings is {self.run.trainings}; name each training once")
        return self

    @model_validator(mode="after")
    def _official_checkpoints_are_one_training(self) -> "Params":
        if self.train.mode == "pretrained" and len(self.run.trainings) > 1:
            raise ValueError(
                f"run.trainings is {self.run.trainings}, but train.mode pretrained has one set of checkpoints; name "
                "one training, such as [0]"
            )
        return self

    @model_validator(mode="after")
    def _dataset_can_be_read(self) -> "Params":
        dataset = dataset_named(self.run.dataset)
        if dataset.check is not None:
            dataset.check(self.ingest, paths.RAW / dataset.name)
        return self

    @model_validator(mode="after")
    def _windows_fit_into_clips(self) -> "Params":
        window, most = self.train.tokenizer.window, self.ingest.max_frames
        if self.train.mode == "scratch" and window >= most:
            raise ValueError(
                f"train.tokenizer.window is {window}, but ingest.max_frames {most} keeps every clip shorter: windows "
                "would end in a frozen frame; lower it"
            )
        for name in METHODS:
            self.unlearn[name].check_clips(frames=most)
        return self

    @model_validator(mode="after")
    def _gate_asks_for_attacks_that_are_run(self) -> "Params":
        known = (*self.probe.attacks, *self.probe.left_out)
        idle = [name for name in self.register_.probes if name not in known]
        if idle:
            raise ValueError(
                f"register.probes names {', '.join(idle)}, which `probe` never runs as it is set: no version could "
                f"pass; take it out, or choose from {', '.join(dict.fromkeys(known))}"
            )
        return self

    @model_validator(mode="after")
    def _methods_fit_the_tokenizer(self) -> "Params":
        if (
            self.train.mode != "pretrained"
        ):  # the checkpoint's own opt.txt has the sizes; methods check them again
            sizes = self.train.tokenizer
            for name in METHODS:
                self.unlearn[name].check_tokenizer(codes=sizes.codes, quantizers=sizes.quantizers)
            for model in self.run.models if sizes.quantizers == 1 else ():
                if "residual" in model_named(model).components.values():
                    raise ValueError(
                        f"train.tokenizer.quantizers is 1, but {model} of run.models predicts further layers; use 2 or "
                        "more, or a model of one layer such as t2mgpt"
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
    """Read and check params.yaml; raises ConfigError when it is missing, not YAML, or invalid."""
    return parse(read_yaml(path), str(path))


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
