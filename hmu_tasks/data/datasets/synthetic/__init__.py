"""The embedded benchmark: a procedural motion grammar that writes a raw folder in the layout of HumanML3D.

Violent and safe actions, one to three per clip, on bodies of many proportions, with captions, mirrored twins and, kept
aside for evaluation, the action of every frame. Everything follows from one seed.
"""

from hmu_tasks.data.datasets.synthetic.compose import ACTIONS, SyntheticClip
from hmu_tasks.data.datasets.synthetic.writer import sample_clip, write_raw_folder

__all__ = ["ACTIONS", "SyntheticClip", "sample_clip", "write_raw_folder"]
