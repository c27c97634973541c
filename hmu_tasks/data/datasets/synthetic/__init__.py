"""The embedded benchmark: a procedural motion grammar that writes a raw folder in the layout of HumanML3D.

Violent and safe actions, one to three per clip, on bodies of many proportions, with captions, mirrored twins and, kept
aside for evaluation, the action of every frame. Everything follows from one seed.
"""

from typing import Annotated

from pydantic import Field

from hmu_tasks.config.sections.section import Section, Share
from hmu_tasks.data.datasets import Dataset


class Synthetic(Section):
    """Size and make-up of the embedded benchmark."""

    clips: Annotated[int, Field(ge=40)]
    val: Annotated[int, Field(ge=16)]
    test: Annotated[int, Field(ge=16)]
    forget_share: Share
    eval_forget_share: Share


DATASET = Dataset(
    name="synthetic",
    finder="hmu_tasks.data.datasets.humanml3d:find",
    writer="hmu_tasks.data.datasets.synthetic.writer:write_raw_folder",
    section=Synthetic,
)
