"""Fixtures that all tests share."""

from collections.abc import Iterator
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


@pytest.fixture(autouse=True, scope="session")
def own_signing_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A key for signatures that is made and lost with the tests, so that nobody's own one is touched."""
    place = tmp_path_factory.mktemp("key") / "signing-key.pem"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HMU_SIGNING_KEY", str(place))
        patch.delenv("HMU_TRUSTED_KEYS", raising=False)
        yield place
