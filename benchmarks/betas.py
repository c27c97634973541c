"""What a subject's shape (betas) would change in clips made from AMASS with the mean body.

    python benchmarks/betas.py --clips 100

Synthetic clips become joint rotations by inverse kinematics (tests/tiny_amass.py). Each is then played on a body of its
own: all bones scaled by one factor within 8 %, each bone by another within 5 %, left and right alike, and a path that
is as much longer as the legs are. Features of that body are compared with those that the mean body gives from the same
rotations and path. Prints distances in millimetres as one JSON line.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from hmu_tasks.data.datasets.smpl.joints import REST, features_of, joints_of
from hmu_tasks.data.datasets.synthetic.writer import sample_clip
from hmu_tasks.data.motion.features import to_joints
from hmu_tasks.data.motion.skeleton import LEG, MIRROR_ORDER

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from tiny_amass import parameters


def leg(offsets: np.ndarray) -> float:
    """Length of the right leg in metres."""
    return float(np.linalg.norm(offsets[list(LEG)], axis=1).sum())


def main() -> None:
    """Compare all clips and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--clips", type=int, default=100)
    knobs = parser.parse_args()
    rng = np.random.default_rng(0)
    local, whole, contacts = [], [], []
    for number in range(knobs.clips):
        turns, path = parameters(sample_clip(10107, "train", number).joints)
        part = rng.uniform(0.95, 1.05, (22, 1))
        offsets = REST * (part + part[MIRROR_ORDER]) / 2 * rng.uniform(0.92, 1.08)
        bodies = []
        for body in (offsets, REST):
            joints = joints_of(turns, path * leg(offsets) / leg(REST), offsets=body)
            bodies.append(features_of(joints[..., [0, 2, 1]] * (-1, 1, 1))[0])
        own, mean = map(to_joints, bodies)
        local.append(np.linalg.norm((own - own[:, :1]) - (mean - mean[:, :1]), axis=-1).mean() * 1e3)
        whole.append(np.linalg.norm(own - mean, axis=-1).mean() * 1e3)
        contacts.append((bodies[0][:, -4:] == bodies[1][:, -4:]).all(axis=1).mean())
    measured = {
        "clips": knobs.clips,
        "relative_to_pelvis_mm": round(float(np.mean(local)), 4),
        "with_path_mm": {
            name: round(float(value), 1)
            for name, value in (
                ("mean", np.mean(whole)),
                ("median", np.median(whole)),
                ("p95", np.quantile(whole, 0.95)),
            )
        },
        "same_contacts": round(float(np.mean(contacts)), 4),
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
