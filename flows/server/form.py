"""Parameters of a pipeline run: the types from which Prefect's page makes its form."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, Field, JsonValue

from hmu_tasks.config import params, presets
from hmu_tasks.runtime.errors import HmuError

Finish = Literal["experiment", "branch", "workspace"]
Placement = Literal["here", "gpu-pool", "pools"]


def _one_of(names: Iterable[str]) -> Any:
    """Make the type of a name in a list; the form offers the list."""
    known: list[JsonValue] = list(names)

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"{name!r} is not one of {', '.join(map(str, known))}")
        return name

    return Annotated[str, AfterValidator(check), Field(json_schema_extra={"enum": known})]


def _section(*path: str) -> type[BaseModel]:
    """Return the model of a section of params.yaml."""
    model: type[BaseModel] = params.Params
    for part in path:
        found = model.model_fields[part].annotation
        assert isinstance(found, type)
        model = found
    return model


def _keys(*path: str) -> list[str]:
    return list(_section(*path).model_fields)


AS_COMMITTED = "(as in params.yaml)"
"""The choice that changes nothing: Prefect's form for an optional list of names is hard to read."""
Preset = _one_of([AS_COMMITTED, *presets.names()])
Dataset = _one_of([AS_COMMITTED, *get_args(_section("run").model_fields["dataset"].annotation)])
Model = _one_of(_keys("train", "base"))
Method = _one_of(_keys("unlearn"))
Seed = Annotated[int, Field(ge=0)]
Workers = Annotated[int, Field(ge=1)]


def changes(
    *,
    concept: str,
    dataset: str,
    models: list[str],
    methods: list[str],
    seeds: list[int],
    overrides: dict[str, Any],
) -> dict[str, Any]:
    """Collect what a run changes in params.yaml, by dotted key; empty fields change nothing.

    seeds: the first one counts; a run has one seed
    Raises HmuError if an override contradicts the field of the form.
    """
    fields = {
        "run.concept": concept,
        "run.dataset": "" if dataset == AS_COMMITTED else dataset,
        "run.models": models,
        "run.methods": methods,
    }
    found: dict[str, Any] = {key: value for key, value in fields.items() if value}
    if seeds:
        found["run.seed"] = seeds[0]
    for key, value in overrides.items():
        if key in found and found[key] != value:
            raise HmuError(f"{key} is given twice: {found[key]!r} and, in the overrides, {value!r}")
        found[key] = value
    return found
