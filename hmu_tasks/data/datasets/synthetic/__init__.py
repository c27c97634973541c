"""The embedded benchmark: a procedural motion grammar that writes a raw folder in HumanML3D's layout.

Clips have one to three violent or safe actions on bodies of varied proportions, captions, mirrored twins and per-frame
action labels (for evaluation only). Everything is determined by one seed.
"""

from typing import Annotated

from pydantic import Field

from hmu_tasks.data.datasets import Dataset
from hmu_tasks.runtime.section import Section, Share


class SyntheticSection(Section):
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
    section=SyntheticSection,
)
