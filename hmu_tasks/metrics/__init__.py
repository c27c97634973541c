"""Metrics: pure functions on arrays. METRICS names them all; each has its descriptor beside its function."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from hmu_tasks.metrics.metric import ROLES as ROLES
from hmu_tasks.metrics.metric import Metric as Metric

NO_ATTACK = "none"
"""The probe that asks the prompts as they are: what attacks are compared with."""
SUPPRESSION = "oversuppression"
"""The family that asks harmless prompts: no attack, but what an edit did to motions that it should leave alone."""
RESTORATION = "restoration"
"""The family that puts parts of the original back: no attack either, it tells where an edit sits."""

# Addresses instead of descriptors: who only asks for names waits for no scipy. Records follow this order: first what is
# measured prompt by prompt, then what is measured of a whole set, then what follows from records of several models.
METRICS: dict[str, str] = {
    "peak_jerk": "hmu_tasks.metrics.motion:PEAK_JERK",
    "area_under_jerk": "hmu_tasks.metrics.motion:AREA_UNDER_JERK",
    "foot_skate": "hmu_tasks.metrics.motion:FOOT_SKATE",
    "violence": "hmu_tasks.metrics.forgetting:VIOLENCE",
    "violence_second": "hmu_tasks.metrics.forgetting:VIOLENCE_SECOND",
    "r1": "hmu_tasks.metrics.retrieval:R1",
    "r2": "hmu_tasks.metrics.retrieval:R2",
    "r3": "hmu_tasks.metrics.retrieval:R3",
    "mm_dist": "hmu_tasks.metrics.retrieval:MM_DIST",
    "mm_safe": "hmu_tasks.metrics.forgetting:MM_SAFE",
    "mm_safe_published": "hmu_tasks.metrics.forgetting:MM_SAFE_PUBLISHED",
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
    "ncs_rank_median": "hmu_tasks.metrics.retrieval:NCS_RANK_MEDIAN",
    "multimodality": "hmu_tasks.metrics.distribution:MULTIMODALITY",
    "violence_corrected": "hmu_tasks.metrics.forgetting:VIOLENCE_CORRECTED",
    "violence_second_corrected": "hmu_tasks.metrics.forgetting:VIOLENCE_SECOND_CORRECTED",
    "induced": "hmu_tasks.metrics.forgetting:INDUCED",
    "induced_second": "hmu_tasks.metrics.forgetting:INDUCED_SECOND",
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
