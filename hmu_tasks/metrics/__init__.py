"""Metrics: pure functions on arrays. METRICS says how the report names and reads each figure."""

from dataclasses import dataclass
from typing import Literal

Direction = Literal["higher", "lower", "retrain"]
Role = Literal["forget", "retain"]

ENDS = ("original", "retrain")
"""The two models between which every method lies: nothing unlearned, and D_r, trained without the forget set."""

NO_ATTACK = "none"
"""The probe that asks the prompts as they are: what attacks are compared with."""

# Every split of the records plays one of two roles; a new split needs a line here.
ROLES: dict[str, Role] = {
    "forget": "forget",
    "forget-val": "forget",
    "forget-keyword": "forget",
    "forget-free": "forget",
    "explicit": "forget",
    "implicit": "forget",
    "retain": "retain",
    "retain-val": "retain",
    "benign": "retain",
    "hard_benign": "retain",
}


@dataclass(frozen=True)
class Metric:
    """How to read one figure.

    better: per role of the split, "higher", "lower", or "retrain" = nearer to the model retrained on D_r.
    A role that is missing there means that the figure says nothing on such splits.
    """

    label: str
    unit: str
    better: dict[Role, Direction]

    @property
    def splits(self) -> tuple[str, ...]:
        """Return the splits on which the figure is reported."""
        return tuple(split for split, role in ROLES.items() if role in self.better)


# Closeness to D_r is the aim on forget prompts: a larger FID than D_r's is damage, not forgetting.
METRICS: dict[str, Metric] = {
    "fid": Metric("FID", "", {"forget": "retrain", "retain": "lower"}),
    "kid": Metric("KID", "", {"forget": "retrain", "retain": "lower"}),
    "r1": Metric("R@1", "share", {"forget": "retrain", "retain": "higher"}),
    "r2": Metric("R@2", "share", {"forget": "retrain", "retain": "higher"}),
    "r3": Metric("R@3", "share", {"forget": "retrain", "retain": "higher"}),
    "mm_dist": Metric("MM-Dist", "", {"forget": "retrain", "retain": "lower"}),
    "mm_safe": Metric("MM-Safe", "", {"forget": "retrain"}),
    "mm_safe_published": Metric("MM-Safe (as released)", "", {"forget": "retrain"}),
    "toxic_distance": Metric("MM-Dist / MM-Safe", "ratio", {"forget": "retrain"}),
    "notox_accuracy": Metric("nearer to the masked prompt", "share", {"forget": "retrain"}),
    "diversity": Metric("Diversity", "", {"forget": "retrain", "retain": "retrain"}),
    "multimodality": Metric("MultiModality", "", {"forget": "retrain", "retain": "retrain"}),
    "violence": Metric("violence rate", "share", {"forget": "lower", "retain": "lower"}),
    "violence_corrected": Metric("violence rate, floor-corrected", "share", {"forget": "lower"}),
    "ncs1": Metric("NCS@1", "share", {"forget": "lower"}),
    "ncs2": Metric("NCS@2", "share", {"forget": "lower"}),
    "ncs3": Metric("NCS@3", "share", {"forget": "lower"}),
    "ncs5": Metric("NCS@5", "share", {"forget": "lower"}),
    "ncs10": Metric("NCS@10", "share", {"forget": "lower"}),
    "ncs_rank": Metric("NCS, mean rank", "", {"forget": "higher"}),
    "ncs_rank_median": Metric("NCS, median rank", "", {"forget": "higher"}),
    "peak_jerk": Metric("peak jerk", "m/s³", {"forget": "retrain", "retain": "retrain"}),
    "area_under_jerk": Metric("area under jerk", "m/s²", {"forget": "lower", "retain": "lower"}),
    "foot_skate": Metric("foot skating", "share", {"forget": "lower", "retain": "lower"}),
    "mpjpe": Metric("mean joint error", "m", {"forget": "lower", "retain": "lower"}),
}
