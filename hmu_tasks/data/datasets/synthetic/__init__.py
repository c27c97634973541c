"""The embedded benchmark: a procedural motion grammar that writes a raw folder in HumanML3D's layout.

Clips have one to three violent or safe actions on bodies of varied proportions, captions, mirrored twins and per-frame
action labels (for evaluation only). Everything is determined by one seed.
"""

from hmu_tasks.data.datasets.synthetic.compose import ACTIONS, SyntheticClip
from hmu_tasks.data.datasets.synthetic.writer import sample_clip, write_raw_folder

__all__ = ["ACTIONS", "SyntheticClip", "sample_clip", "write_raw_folder"]
