"""Made-up body models in the exact form of SMPL-H's and SMPL-X's files, with a few hundred vertices."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hmu_tasks.data.datasets.smpl.joints import REST
from hmu_tasks.data.motion.skeleton import JOINT_COUNT, PARENTS

JOINT_COUNTS = {"SMPL": 24, "SMPL-H": 52, "SMPL-X": 55}


def arrays(kind: str = "SMPL-H", *, seed: int = 0, betas: int = 16) -> dict[str, NDArray[Any]]:
    """Arrays of a model whose joints lie near the mean body's and whose betas move them by centimetres."""
    rng = np.random.default_rng(seed)
    joints, vertices = JOINT_COUNTS[kind], 300
    tree = np.concatenate([PARENTS, rng.integers(0, JOINT_COUNT, joints - JOINT_COUNT)])
    places = REST.copy()
    for joint, parent in enumerate(PARENTS[1:], start=1):
        places[joint] += places[parent]
    near = rng.integers(0, JOINT_COUNT, vertices)
    regressor = rng.random((joints, vertices)) * (rng.random((joints, vertices)) < 0.1)
    for joint in range(JOINT_COUNT):
        regressor[joint] = rng.random(vertices) * (near == joint)
    regressor /= np.maximum(regressor.sum(1, keepdims=True), 1e-9)
    weights = rng.random((vertices, joints))
    return {
        "v_template": places[near] + rng.normal(0, 0.02, (vertices, 3)),
        "shapedirs": rng.normal(0, 0.02, (vertices, 3, betas)),
        "posedirs": rng.normal(0, 0.01, (vertices, 3, 9 * (joints - 1))),
        "J_regressor": regressor,
        "kintree_table": np.stack([np.where(tree < 0, 2**32 - 1, tree), np.arange(joints)]).astype(np.uint32),
        "weights": weights / weights.sum(1, keepdims=True),
        "f": rng.integers(0, vertices, (500, 3)).astype(np.uint32),
        "hands_componentsl": np.eye(45),
        "hands_componentsr": np.eye(45),
        "hands_meanl": np.zeros(45),
        "hands_meanr": np.zeros(45),
        # What official files hold beside numbers; nothing may unpickle it.
        "part2num": np.array({"pelvis": 0}, dtype=object),
        "bs_type": np.array("lrotmin"),
    }


def write_model(
    path: Path, kind: str = "SMPL-H", *, seed: int = 0, betas: int = 16, **others: Any
) -> dict[str, Any]:
    """Write an .npz file, and return its arrays; others: arrays in place of these, None for none."""
    content = {
        name: array
        for name, array in (arrays(kind, seed=seed, betas=betas) | others).items()
        if array is not None
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **content)
    return content
