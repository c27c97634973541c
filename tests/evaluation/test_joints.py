"""Joints of many clips at once are those of each clip alone."""

import numpy as np
import torch

from hmu_tasks.data.motion.features import to_joints
from hmu_tasks.evaluation.evaluators import joints_in_batches


def test_padding_changes_no_joint() -> None:
    rng = np.random.default_rng(0)
    clips = [rng.normal(0, 0.3, (frames, 263)).astype(np.float32) for frames in (40, 8, 196, 44, 60)]
    clips[2] = clips[2].astype(np.float16).astype(np.float32)
    for batch in (1, 2, 64):
        found = joints_in_batches(clips, torch.device("cpu"), batch=batch)
        for clip, joints in zip(clips, found, strict=True):
            assert joints.shape == (len(clip), 22, 3)
            np.testing.assert_allclose(joints, to_joints(clip), rtol=1e-4, atol=1e-4)
