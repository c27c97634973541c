"""A store that was moved or copied keeps its artifacts beside it, and never touches where it came from."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from registered_world import add_edit, easy_params, measured, register, selected  # noqa: F401

from hmu_tasks.registry import verification
from hmu_tasks.registry.versions import open_registry
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.tracking.locations import ROOT_VARIABLE
from hmu_tasks.tracking.runs import step_run
from hmu_tasks.tracking.store import new_client, tracking_uri

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy is deprecated", "ignore:.*Any type hint is inferred as AnyType"
)
SIDE = Path("runs/side/mlflow")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with one run and its artifact; making a store takes seconds, so it is made once."""
    folder = tmp_path_factory.mktemp("recorded")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", ROOT_VARIABLE):
            patch.delenv(name, raising=False)
        record(folder, "first")
    return folder


@pytest.fixture
def root(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it; its name needs quoting in an address and looks like a pattern."""
    for name in ("MLFLOW_TRACKING_URI", ROOT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "a project_100 %"
    shutil.copytree(recorded, folder)
    new_client(tracking_uri(folder))
    return folder


def record(root: Path, name: str) -> str:
    file = root / f"{name}.txt"
    file.write_text(name, encoding="utf-8")
    with step_run("register", name, params={}, tags={}, root=root) as run:
        run.artifact(file)
    return run.run_id


def runs(root: Path) -> dict[str, str]:
    """Name of every step's run -> its artifact folder."""
    client = new_client(tracking_uri(root))
    experiments = [one.experiment_id for one in client.search_experiments()]
    found = client.search_runs(experiments)
    return {
        run.info.run_name: run.info.artifact_uri for run in found if "mlflow.parentRunId" in run.data.tags
    }


def runs_as_stored(database: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(database)) as store:
        return store.execute("SELECT run_uuid, artifact_uri FROM runs ORDER BY run_uuid").fetchall()


def content(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


def test_a_copied_checkout_leaves_the_original_alone(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    before = content(root)
    record(copy, "second")
    assert content(root) == before
    places = runs(copy)
    assert set(places) == {"first", "second"}
    for name, place in places.items():
        assert place.startswith((copy / SIDE / "artifacts").as_uri() + "/")
        assert [file.read_text() for file in (copy / SIDE).rglob(f"{name}.txt")] == [name]
    assert all(place.startswith((root / SIDE / "artifacts").as_uri() + "/") for place in runs(root).values())


def test_a_moved_checkout_takes_its_artifacts_along(root: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved" / "twice"
    moved.parent.mkdir()
    root.rename(moved)
    client = new_client(tracking_uri(moved))
    (run,) = client.search_runs(
        [client.get_experiment_by_name("hmu").experiment_id], "attributes.run_name = 'first'"
    )
    downloaded = Path(client.download_artifacts(run.info.run_id, "first.txt", str(tmp_path)))
    assert downloaded.read_text() == "first"
    record(moved, "second")
    assert not root.exists()


def test_a_file_named_by_address_has_its_artifacts_beside_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shutil.copytree(root / SIDE, shared)
    (shared / "mlflow.db").rename(shared / "runs.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{shared / 'runs.db'}")
    record(root, "third")
    shared.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'elsewhere' / 'runs.db'}")
    record(root, "fourth")
    assert not shared.exists()
    kept = tmp_path / "elsewhere" / "artifacts"
    assert sorted(file.name for file in kept.rglob("*.txt")) == ["first.txt", "fourth.txt", "third.txt"]


def test_a_database_without_its_artifacts_is_refused_with_a_remedy(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    (copy / SIDE).mkdir(parents=True)
    shutil.copy(root / SIDE / "mlflow.db", copy / SIDE)
    before = content(root / SIDE / "artifacts")
    with pytest.raises(HmuError, match="copy them there") as caught:
        record(copy, "second")
    assert content(root / SIDE / "artifacts") == before
    given = str(caught.value).partition(f"{ROOT_VARIABLE}=")[2].partition(" to go on")[0]
    monkeypatch.setenv(ROOT_VARIABLE, given)
    record(copy, "second")
    assert len(content(root / SIDE / "artifacts")) == len(before) + 1
    monkeypatch.delenv(ROOT_VARIABLE)
    shutil.copytree(root / SIDE / "artifacts", copy / SIDE / "artifacts")
    record(copy, "third")
    assert len(content(root / SIDE / "artifacts")) == len(before) + 1


def test_artifacts_of_a_disk_that_is_not_there_are_not_given_up(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    (copy / SIDE).mkdir(parents=True)
    shutil.copy(root / SIDE / "mlflow.db", copy / SIDE)
    (root / SIDE / "artifacts").rename(tmp_path / "unmounted")
    before = runs_as_stored(copy / SIDE / "mlflow.db")
    with pytest.raises(HmuError, match="which is not there, and has none beside it") as caught:
        record(copy, "second")
    assert runs_as_stored(copy / SIDE / "mlflow.db") == before
    Path(str(caught.value).partition("mkdir -p ")[2]).mkdir(parents=True)
    record(copy, "second")
    assert [file.name for file in (copy / SIDE / "artifacts").rglob("*.txt")] == ["second.txt"]


def test_a_folder_that_happens_to_lie_beside_a_database_is_not_taken_for_its_artifacts(
    root: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    (copy / SIDE / "artifacts" / "other").mkdir(parents=True)
    shutil.copy(root / SIDE / "mlflow.db", copy / SIDE)
    before = runs_as_stored(copy / SIDE / "mlflow.db")
    with pytest.raises(HmuError, match="and 0 others are missing; copy them there"):
        record(copy, "second")
    assert runs_as_stored(copy / SIDE / "mlflow.db") == before


def test_a_relative_root_is_the_folder_that_it_leads_to(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv(ROOT_VARIABLE, "./art")
    record(folder, "first")
    record(folder, "second")
    assert sorted(file.name for file in (folder / "art").rglob("*.txt")) == ["first.txt", "second.txt"]
    assert not (folder / SIDE / "artifacts").exists()


@pytest.mark.slow
def test_versions_go_with_the_checkout(
    measured: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    params = easy_params()
    first = register(params, "momask", "lcr")
    copy = tmp_path / "copy of it"
    shutil.copytree(measured, copy)
    before = content(measured)
    monkeypatch.chdir(copy)
    add_edit(copy, "another")
    second = register(params, "momask", "lcr", "another")
    assert (second.number, content(measured)) == (first.number + 1, before)
    measured.rename(tmp_path / "gone")
    registry = open_registry(Path(), "hmu-momask-synthetic-violence")
    for version in registry.versions():
        found = verification.verify(registry, version, tmp_path / f"version {version.number}")
        assert found.faults == ()
    (tmp_path / "gone").rename(measured)  # other tests go on with it
