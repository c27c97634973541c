"""Fixtures that all tests share."""

from pathlib import Path

import pytest
from dvc_stages import stages, values
from registered_world import measured
from tiny_world import finished, world

__all__ = ["finished", "measured", "shared", "stages", "values", "world"]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real clips, captions and official numbers beside the checkout; tests that need it skip without."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the folder of real data and official numbers is not there")
    return folder
