"""Fixtures that all tests share."""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from dvc_stages import stages, values
from quick_stores import quick_stores
from registered_world import measured
from tiny_world import finished, world

__all__ = ["finished", "measured", "quick_stores", "shared", "stages", "values", "world"]


# Set by some machines: every process would compile the modules of a copied project again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# In a project made by `dvc init` each command would start a process for them.
os.environ["DVC_NO_ANALYTICS"] = "true"

gc.disable()  # imports make objects by the hundred thousand, all of which stay


def pytest_collection_finish() -> None:
    """Collect garbage again from now on, though not as often, and leave out what the imports made."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first: one that came last would leave the other processes without work.

    Those are the files with slow tests, together with all that share the servers of tests/flows, then those that work
    on a finished folder. One of these is the very first, so that the folder is made while the others do something
    else.
    """
    slow = {
        item.path for item in items if item.get_closest_marker("slow") or item.path.parent.name == "flows"
    }
    finished = {item.path for item in items if "finished" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: 0 if item.path in slow else 1 if item.path in finished else 2)
    first = next((item.path for item in items if item.path in finished), None)
    items.sort(key=lambda item: item.path != first)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real clips, captions and official numbers beside the checkout; tests that need it skip without."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the folder of real data and official numbers is not there")
    return folder


@pytest.fixture(autouse=True, scope="session")
def no_stacks_for_cuda() -> Iterator[None]:
    """Without a GPU, torch writes down the whole stack at each `manual_seed`, in case CUDA started and failed later."""
    cuda = sys.modules.get("torch.cuda")
    if cuda is None or cuda.is_available():
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda, "traceback", SimpleNamespace(format_stack=list))
        yield


@pytest.fixture(autouse=True, scope="session")
def own_signing_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A key for signatures that is made and lost with the tests, so that nobody's own one is touched."""
    place = tmp_path_factory.mktemp("key") / "signing-key.pem"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HMU_SIGNING_KEY", str(place))
        patch.delenv("HMU_TRUSTED_KEYS", raising=False)
        yield place
