"""What a page may ask for, checked: a prompt, one to three models, a length and a seed."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.seeds import MOST_SEED
from hmu_tasks.studio.motions import LONGEST_PROMPT

MOST_MODELS = 3


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


class Asked(BaseModel):
    """A request for motions; seconds None leaves the length to the model."""

    model_config = ConfigDict(extra="forbid")

    prompt: Annotated[str, Field(max_length=LONGEST_PROMPT)]
    models: Annotated[list[str], Field(min_length=1, max_length=MOST_MODELS)]
    seconds: Annotated[Annotated[float, Field(gt=0, le=60)] | None, BeforeValidator(_empty_is_none)] = None
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)] = 0


def complaint(errors: list[dict[str, object]]) -> str:
    """Say in one sentence what is wrong with a request, from pydantic's list."""
    first = errors[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query")]  # type: ignore[attr-defined]
    where = {
        "prompt": f"the prompt must be text of at most {LONGEST_PROMPT} characters",
        "models": f"choose one to {MOST_MODELS} models",
        "seconds": "the length must be a number of seconds, or empty",
        "seed": "the seed must be a whole number from 0 to 2**63 - 1",
    }
    name = place[0] if place else ""
    if first["type"] == "json_invalid":
        return "the request is not JSON"
    return where.get(name, f"{name or 'the request'}: {first['msg']}")


def known_file(kind: str, kinds: dict[str, str]) -> str:
    """Return the media type of a kind of file; DataError lists the kinds."""
    if kind not in kinds:
        raise DataError(f"there is no file of kind {kind!r}; choose from {', '.join(kinds)}")
    return kinds[kind]
