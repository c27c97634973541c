"""What MLflow's pages show of the experiment at once: its description, and views with the columns that matter.

MLflow's run table starts with no figure in it; which columns it shows is kept in the browser, or in a saved view, which
is a tag of the experiment. Views appear under *Views*, and each has an address of its own.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_VIEW = "mlflow.sharedViewState."


@dataclass(frozen=True)
class View:
    """One saved view: its key in the address, its name, which runs it lists, their order, and the columns it shows.

    order: any column but the time, by which MLflow would hide steps below their pipeline run.
    """

    key: str
    name: str
    runs: str
    order: str
    columns: Sequence[str]


_IDENTITY = ("tags.`model`", "tags.`method`")
_ATTACKS = (
    *("text/none", "text/misspelling", "text/inserted", "text/paraphrase", "text/implicit"),
    *("embedding/closed-form", "embedding/gradient", "weights/relearning-16x40", "weights/revival-predicted"),
    *("precision/int8", "oversuppression/benign"),
)
VIEWS = (
    View(
        "methods",
        "Methods: forgotten and kept",
        "tags.\"hmu.step\" = 'evaluate'",
        "metrics.`forget/violence_corrected`",
        (
            *_IDENTITY,
            "metrics.`forget/violence_corrected`",
            "metrics.`forget/fid`",
            "metrics.`forget/mm_safe`",
            "metrics.`forget/r1`",
            "metrics.`retain/r1`",
            "metrics.`retain/fid`",
            "metrics.`retain/mm_dist`",
        ),
    ),
    View(
        "attacks",
        "Attacks: what brings it back",
        "tags.\"hmu.step\" = 'probe'",
        "metrics.`text/none`",
        (*_IDENTITY, *(f"metrics.`{name}`" for name in _ATTACKS)),
    ),
    View(
        "costs",
        "Costs of unlearning",
        "tags.\"hmu.step\" = 'unlearn'",
        "tags.`method`",
        (*_IDENTITY, *(f"metrics.`{name}`" for name in ("seconds", "peak_memory_mb", "edits"))),
    ),
    View(
        "training",
        "Training: components and time",
        "tags.\"hmu.step\" = 'train'",
        "tags.`component`",
        ("tags.`component`", "tags.`variant`", "params.`steps`", "params.`batch`", "params.`rate`"),
    ),
    View(
        "versions",
        "Registered versions",
        "tags.\"hmu.step\" = 'register'",
        "tags.`method`",
        (
            "tags.`hmu.version`",
            *_IDENTITY,
            "tags.`hmu.gate`",
            "metrics.`forget/violence_corrected_high`",
            "metrics.`retain/r1_low`",
            "tags.`hmu.gate.reasons`",
        ),
    ),
)
NOTE = (
    "One run per pipeline run (unfold it with its +), and below it one run per step: `train`, `unlearn`, `evaluate`, "
    "`probe`, `register`; the column *Source* names the step.\n\n"
    "**Start with *Views*, at the top right:** " + "; ".join(f"*{view.name}*" for view in VIEWS) + ".\n\n"
    "Figures are named `<split>/<metric>`: `forget/…` should change, `retain/…` should stay. Compare a method with the "
    "runs `original` and `retrain` (D_r, trained without the concept)."
)


def experiment_tags() -> dict[str, str]:
    """Return the tags of a new experiment: kind, description, and one saved view per entry of VIEWS."""
    tags = {"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": NOTE}
    return tags | {f"{_VIEW}{view.key}": _saved(view) for view in VIEWS}


def _saved(view: View) -> str:
    """Write a view as MLflow 3.17's page does: JSON around base64 of a zlib stream of the page's state."""
    packed = base64.b64encode(zlib.compress(json.dumps(_state(view)).encode())).decode()
    # All views are of the same age: the page sorts them by it.
    return json.dumps({"name": view.name, "createdAt": 0, "updatedAt": 0, "state": f"deflate;{packed}"})


def _state(view: View) -> Mapping[str, Any]:
    return {
        "searchFilter": view.runs,
        "orderByKey": view.order,
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(view.columns),
        "columnOrder": [],
        "columnWidths": {},
        "runsHiddenMode": "FIRST_10_RUNS",
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": False,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }
