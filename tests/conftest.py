"""Fixtures that all tests share."""

import gc
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from dvc_stages import stages, values
from quick_stores import quick_stores
from registered_world import measured
from running import CHILDREN
from tiny_world import FAILED, finished, reused, world
from unpacked import kit_texts

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

__all__ = [
    "finished",
    "kit_texts",
    "measured",
    "quick_stores",
    "reused",
    "shared",
    "stages",
    "values",
    "world",
]


# Set by some machines: every process would compile the modules of a copied project again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# In a project made by `dvc init` each command would start a process for them.
os.environ["DVC_NO_ANALYTICS"] = "true"
if CHILDREN not in (places := os.environ.get("PYTHONPATH", "").split(os.pathsep)):
    os.environ["PYTHONPATH"] = os.pathsep.join([CHILDREN, *filter(None, places)])

SERVER = "flows/server"
"""Folder of the tests that share a Prefect server and its workers."""

gc.disable()  # imports make objects by the hundred thousand, all of which stay


def pytest_collection_finish() -> None:
    """Collect garbage again from now on, though not as often, and leave out what the imports made."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "LoadFileScheduling":
    """Tests that share a server go to one process, the others file by file."""
    from xdist.scheduler import LoadFileScheduling

    class OneServer(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return SERVER if f"/{file}".rpartition("/")[0].endswith(f"/{SERVER}") else file

    return OneServer(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first: one that came last would leave the other processes without work.

    The very first one makes the finished folder of the end-to-end tests, which takes minutes. Then come those that
    share a server, the other files with slow tests and those of tests/flows, the ones that need a finished folder
    behind the rest, so that no process waits for it; then the others that work on a finished folder.
    """
    server = {item.path for item in items if item.path.parent.as_posix().endswith(f"/{SERVER}")}
    slow = {
        item.path for item in items if item.get_closest_marker("slow") or item.path.parent.name == "flows"
    }
    finished = {item.path for item in items if "finished" in getattr(item, "fixturenames", ())}
    first = next((item.path for item in items if item.path in finished), None)

    def turn(item: pytest.Item) -> int:
        if item.path == first:
            return 0
        if item.path in server:
            return 1
        if item.path in slow:
            return 3 if item.path in finished else 2
        return 4 if item.path in finished else 5

    items.sort(key=turn)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real clips, captions and official numbers beside the checkout; tests that need it skip without."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the folder of real data and official numbers is not there")
    return folder


@pytest.fixture(autouse=True, scope="session")
def no_stacks_for_devices() -> Iterator[None]:
    """Without an accelerator, torch writes down the whole stack for each kind of it at every `manual_seed`, in case it
    started and failed later.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("torch.cuda", "torch.mtia", "torch.xpu"):
            kind = sys.modules.get(name)
            if kind is not None and not kind.is_available():
                patch.setattr(kind, "traceback", SimpleNamespace(format_stack=list))
        yield


@pytest.fixture(autouse=True, scope="session")
def own_signing_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A key for signatures that is made and lost with the tests, so that nobody's own one is touched."""
    place = tmp_path_factory.mktemp("key") / "signing-key.pem"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HMU_SIGNING_KEY", str(place))
        patch.delenv("HMU_TRUSTED_KEYS", raising=False)
        yield place
