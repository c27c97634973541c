"""The section `unlearn` of params.yaml: one sub-section per method, whose descriptor holds the schema."""

from typing import TYPE_CHECKING, Any

from pydantic import create_model

from hmu_tasks.methods import METHODS, method_of
from hmu_tasks.methods.method import Knobs
from hmu_tasks.runtime.section import Section


class MethodSections(Section):
    """Sub-sections by method: `params.unlearn[method]`."""

    def __getitem__(self, method: str) -> Knobs:
        found: Knobs = getattr(self, method)
        return found


if TYPE_CHECKING:

    class UnlearnSection(MethodSections):
        """One sub-section per method; an attribute each, whose type the descriptor knows."""

        def __getattr__(self, method: str) -> Any:
            """Return a method's sub-section."""

else:
    UnlearnSection = create_model(
        "UnlearnSection",
        __base__=MethodSections,
        **{name: (method_of(name).section, ...) for name in METHODS},
    )
