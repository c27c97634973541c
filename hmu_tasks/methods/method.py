"""The descriptor of an unlearning method: its interface to the rest of the project.

Loading descriptors must stay cheap because every step parses params.yaml against their sections: method modules import
torch and our networks inside their functions.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Generic, Protocol, TypeVar

from pydantic import Field, model_validator

from hmu_tasks.runtime.section import Section

if TYPE_CHECKING:
    from hmu_tasks.methods.shared.edit import Edit
    from hmu_tasks.methods.shared.inputs import Inputs


def require_distinct(section: Section, *names: str) -> None:
    """Raise ValueError where a list of `section` is empty or repeats a number."""
    for name in names:
        values = getattr(section, name)
        if not values or len(set(values)) != len(values):
            raise ValueError(f"{name} must be a list of distinct numbers, with at least one")


@dataclass(frozen=True)
class Sweep:
    """The edits that a method makes: one per strength and seed; a strength of None is an edit that has none."""

    strengths: tuple[int | None, ...]
    seeds: tuple[int, ...]


class Knobs(Section):
    """A method's section of params.yaml; methods add their own knobs."""

    strengths: list[Annotated[int, Field(ge=0)]]
    seeds: list[Annotated[int, Field(ge=0)]]

    @model_validator(mode="after")
    def _lists_hold_something(self) -> "Knobs":
        require_distinct(self, "strengths", "seeds")
        return self

    @property
    def sweep(self) -> Sweep:
        """The configured edits."""
        return Sweep(tuple(self.strengths), tuple(self.seeds))

    def check_tokenizer(self, *, codes: int, quantizers: int) -> None:
        """Raise ValueError if the knobs do not fit a tokenizer of `quantizers` layers of `codes` codes."""

    def check_clips(self, *, frames: int) -> None:
        """Raise ValueError if the knobs do not fit clips shorter than `frames`."""


K = TypeVar("K", bound=Knobs)
K_in = TypeVar("K_in", bound=Knobs, contravariant=True)


class Apply(Protocol[K_in]):
    """Make the edits of one seed.

    Yields one edit per strength, in the order of `knobs.sweep.strengths`. Strength 0 is the identity. `given` and its
    networks are not modified. seed: an element of `knobs.sweep.seeds`; `given.seed` is that of the run.
    """

    def __call__(self, given: "Inputs", knobs: K_in, *, seed: int) -> "Iterator[Edit]":
        """Yield the edits."""


@dataclass(frozen=True)
class Strength:
    """Format of a strength after the method's name, and the axis label of plots over it."""

    written: str = "{} %"
    axis: str = "strength, %"


@dataclass(frozen=True)
class Colour:
    """Colours on a light and on a dark page; the light one is that of plots in files."""

    light: str
    dark: str


NETWORKS = "networks"
"""In `changes`: every network of the model, whatever these are called."""


@dataclass(frozen=True, kw_only=True)
class Method(Generic[K]):
    """A method's names and plot style, its knobs, the parts it may change, and how it is applied.

    name: the module's, the section's and the folder's name. changes: parts of a bundle whose files an edit may change.
    marker: of matplotlib. short: label for narrow columns. ranks_by: of a method that replaces codebook rows, the
    column of usage.parquet that it ranks codes by; such edits list their codes as `replaced`.
    """

    name: str
    label: str
    section: type[K]
    changes: tuple[str, ...]
    apply: Apply[K]
    colour: Colour
    marker: str
    strength: Strength = field(default_factory=Strength)
    short: str = ""
    ranks_by: Callable[[K], str] | None = None

    @property
    def replaces_codes(self) -> bool:
        """Whether edits overwrite codebook rows."""
        return self.ranks_by is not None

    def changed_parts(self, networks: Sequence[str]) -> tuple[str, ...]:
        """Name the parts of a bundle that the method may change; networks: those of the model."""
        return tuple(part for name in self.changes for part in (networks if name == NETWORKS else (name,)))

    def titled(self, strength: int | None) -> str:
        """Label and strength, such as `LCR, K = 16`."""
        return self.label if strength is None else f"{self.label}, {self.strength.written.format(strength)}"


AnyMethod = Method[Any]
