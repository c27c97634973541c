"""Metrics: pure functions on arrays. METRICS names them all; each has its descriptor beside its function."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from hmu_tasks.metrics.metric import ROLES as ROLES
from hmu_tasks.metrics.metric import Metric as Metric

NO_ATTACK = "none"
"""The probe with unchanged prompts: the baseline of all attacks."""
SUPPRESSION = "oversuppression"
"""The family of harmless prompts: not an attack, but the edit's effect on motions that it should not change."""
RESTORATION = "restoration"
"""The family that restores components of the original: not an attack, it locates the edit."""

# Import paths instead of descriptors, so that looking up names does not import scipy. Records follow this order:
# per-prompt metrics first, then metrics of a whole set.
METRICS: dict[str, str] = {
    "peak_jerk": "hmu_tasks.metrics.motion:PEAK_JERK",
    "area_under_jerk": "hmu_tasks.metrics.motion:AREA_UNDER_JERK",
    "foot_skate": "hmu_tasks.metrics.motion:FOOT_SKATE",
    "violence": "hmu_tasks.metrics.forgetting:VIOLENCE",
    "r1": "hmu_tasks.metrics.retrieval:R1",
    "r2": "hmu_tasks.metrics.retrieval:R2",
    "r3": "hmu_tasks.metrics.retrieval:R3",
    "mm_dist": "hmu_tasks.metrics.retrieval:MM_DIST",
    "mm_safe": "hmu_tasks.metrics.forgetting:MM_SAFE",
    "toxic_distance": "hmu_tasks.metrics.forgetting:TOXIC_DISTANCE",
    "notox_accuracy": "hmu_tasks.metrics.forgetting:NOTOX_ACCURACY",
    "ncs1": "hmu_tasks.metrics.retrieval:NCS1",
    "ncs2": "hmu_tasks.metrics.retrieval:NCS2",
    "ncs3": "hmu_tasks.metrics.retrieval:NCS3",
    "ncs5": "hmu_tasks.metrics.retrieval:NCS5",
    "ncs10": "hmu_tasks.metrics.retrieval:NCS10",
    "ncs_rank": "hmu_tasks.metrics.retrieval:NCS_RANK",
    "mpjpe": "hmu_tasks.metrics.motion:MPJPE",
    "fid": "hmu_tasks.metrics.distribution:FID",
    "kid": "hmu_tasks.metrics.distribution:KID",
    "diversity": "hmu_tasks.metrics.distribution:DIVERSITY",
    "mm_safe_published": "hmu_tasks.metrics.forgetting:MM_SAFE_PUBLISHED",
    "ncs_rank_median": "hmu_tasks.metrics.retrieval:NCS_RANK_MEDIAN",
    "violence_corrected": "hmu_tasks.metrics.forgetting:VIOLENCE_CORRECTED",
    "multimodality": "hmu_tasks.metrics.distribution:MULTIMODALITY",
}


def metric(name: str) -> Metric:
    """Return the descriptor of a metric; KeyError lists the known ones."""
    if name not in METRICS:
        raise KeyError(f"unknown metric {name!r}; known are {', '.join(METRICS)}")
    return _load(METRICS[name])


def metrics() -> Mapping[str, Metric]:
    """Every metric by its name, in the order of METRICS."""
    return {name: metric(name) for name in METRICS}


@cache
def _load(address: str) -> Metric:
    module, _, name = address.partition(":")
    found: Metric = getattr(import_module(module), name)
    return found
