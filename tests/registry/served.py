"""A packed model of the tiny world, and rows for it."""

from pathlib import Path
from typing import Any

import pytest
from registered_world import selected

from hmu_tasks.runtime import paths

SAMPLING = {"steps": 2, "cfg": 4.0, "residual_cfg": 5.0, "temperature": 1.0, "top_k": 0.9}
ROWS = {"prompt": ["a person walks", "a man kicks"], "seconds": [2.0, 3.1], "seed": [0, 7]}


@pytest.fixture(scope="module")
def packed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of the tiny world's selected edit."""
    from hmu_tasks.registry.packing import Clock, pack

    target = tmp_path_factory.mktemp("packed") / "model"
    pack(finished / paths.edits("momask", "lcr") / selected(finished), SAMPLING, Clock(20.0, 40, 196), target)
    return target


@pytest.fixture(scope="module")
def model(packed: Path) -> Any:
    import mlflow

    return mlflow.pyfunc.load_model(str(packed), model_config={"device": "cpu"})
