"""Fixtures that all tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc_stages import stages, values
from quick_stores import quick_stores
from registered_world import measured
from tiny_world import finished, world

__all__ = ["finished", "measured", "quick_stores", "shared", "stages", "values", "world"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: a long one that came last would leave the other process without work."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real clips, captions and official numbers beside the checkout; tests that need it skip without."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the folder of real data and official numbers is not there")
    return folder


@pytest.fixture(autouse=True, scope="session")
def own_signing_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A key for signatures that is made and lost with the tests, so that nobody's own one is touched."""
    place = tmp_path_factory.mktemp("key") / "signing-key.pem"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HMU_SIGNING_KEY", str(place))
        patch.delenv("HMU_TRUSTED_KEYS", raising=False)
        yield place
