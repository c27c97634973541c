"""Versions, aliases and the journal in a real store, also when several processes want the same at once."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from hmu_tasks.registry.moves import CHAMPION, PREVIOUS, JournalState, Move
from hmu_tasks.registry.versions import (
    GATE_TAG,
    REASONS_TAG,
    Registry,
    model_name,
    open_registry,
    registered_names,
    the_only_name,
)
from hmu_tasks.runtime.errors import HmuError

# MLflow 3.17 declares a mapper in a way that SQLAlchemy 2.1 announces to drop.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
NAME = model_name("momask", "synthetic", "violence")

# One process imports MLflow; the racers are forks of it that open the store themselves.
RACERS = """
import os, sys, time
from pathlib import Path
import mlflow
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.registry.moves import Move
from hmu_tasks.registry.versions import open_registry
what, count, root = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])

def run(me):
    registry = open_registry(root, "hmu-momask-synthetic-violence")
    registry.exists()  # everything is imported and the store is open
    (root / f"ready-{me}").touch()
    while not (root / "go").exists():
        time.sleep(0.001)
    if what == "add":
        registry.create("several at once")
        run = registry.client.create_run("0").info.run_id
        version, new = registry.add(run, "digest", tags={"hmu.gate": "passed"}, description=str(me))
        return f"{version.number} {new}"
    try:
        registry.append(Move(1, "promote", None, me, f"racer {me}", "now", "race", str(me)))
        registry.follow()
        return f"won {me}"
    except HmuError as error:
        return f"lost {error}"

racers = range(1, count + 1)
for me in racers:
    if os.fork() == 0:
        try:
            (root / f"said-{me}").write_text(run(me))
        finally:
            os._exit(0)
while not all((root / f"ready-{me}").exists() for me in racers):
    time.sleep(0.01)
(root / "go").touch()
for me in racers:
    os.wait()
"""


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with its tables and nothing in them; making them takes longer than most tests."""
    root = tmp_path_factory.mktemp("empty")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        open_registry(root, NAME).exists()
    return root / "runs" / "side" / "mlflow" / "mlflow.db"


@pytest.fixture
def registry(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    own = tmp_path / "runs" / "side" / "mlflow"
    own.mkdir(parents=True)
    shutil.copy(empty_store, own)
    return open_registry(tmp_path, NAME)


def add(registry: Registry, digest: str, gate: str = "passed") -> int:
    registry.create("a test")
    run = registry.client.create_run("0").info.run_id
    tags = {GATE_TAG: gate, REASONS_TAG: "forgotten: too little"}
    return registry.add(run, digest, tags=tags, description="text")[0].number


def move(number: int, start: int | None, end: int, kind: str = "promote", nonce: str = "n") -> Move:
    return Move(number, kind, start, end, "ann", "2026-01-01", "because", nonce)  # type: ignore[arg-type]


def race(root: Path, what: str, count: int) -> list[str]:
    """Let processes do the same at the same moment; returns what each said at its end."""
    env = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    command = [sys.executable, "-c", RACERS, what, str(count), str(root)]
    subprocess.run(command, env=env, check=True, timeout=240)
    return [(root / f"said-{number + 1}").read_text() for number in range(count)]


def test_the_same_bundle_is_one_version(registry: Registry) -> None:
    assert not registry.exists()
    assert add(registry, "a") == 1
    assert add(registry, "b") == 2
    assert add(registry, "a") == 1
    assert [version.number for version in registry.versions()] == [1, 2]
    assert registry.with_bundle("b") == registry.version(2)
    assert registry.with_bundle("c") is None
    with pytest.raises(HmuError, match="no version 7; there are: 1, 2"):
        registry.version(7)


def test_names_are_found(registry: Registry) -> None:
    with pytest.raises(HmuError, match="nothing has been registered yet"):
        the_only_name(registry.root, None)
    add(registry, "a")
    assert the_only_name(registry.root, None) == NAME == "hmu-momask-synthetic-violence"
    with pytest.raises(HmuError, match=f"no registered model 'x'; there are: {NAME}"):
        the_only_name(registry.root, "x")
    other = model_name("bamm", "synthetic", "kick")
    open_registry(registry.root, other).create("another")
    assert registered_names(registry.root) == [other, NAME]
    with pytest.raises(HmuError, match=f"name one of the registered models: {other}, {NAME}"):
        the_only_name(registry.root, None)


def test_a_refused_version_gets_no_alias(registry: Registry) -> None:
    number = add(registry, "a", gate="failed")
    for alias in ("candidate", CHAMPION, PREVIOUS, "anything"):
        with pytest.raises(HmuError, match=r"the gate refused it \(forgotten: too little\)"):
            registry.set_alias(alias, number)
    registry.append(move(1, None, number))  # even a journal that says so does not help
    assert registry.follow() == JournalState(None, None, 1, (number,))
    assert registry.aliases() == {}


def test_aliases_follow_the_journal(registry: Registry) -> None:
    for digest in "abc":
        add(registry, digest)
    registry.set_alias("candidate", 1)
    registry.append(move(1, None, 1))
    assert registry.misplaced(JournalState(1, None, 1)) == ["champion is not set instead of version 1"]
    assert registry.follow() == JournalState(1, None, 1)
    assert registry.aliases() == {CHAMPION: 1}
    registry.append(move(2, 1, 2))
    registry.follow()
    assert registry.aliases() == {CHAMPION: 2, PREVIOUS: 1}
    registry.append(move(3, 2, 1, "rollback"))
    registry.follow()
    assert registry.aliases() == {CHAMPION: 1}
    assert registry.misplaced(registry.follow()) == []
    assert [one.number for one in registry.moves()] == [1, 2, 3]


def test_a_number_is_taken_once_and_the_other_is_told(registry: Registry) -> None:
    add(registry, "a")
    registry.append(move(1, None, 1, nonce="first"))
    with pytest.raises(
        HmuError, match=r"ann was first: promote of .* to version 1 .*because.*Nothing was changed"
    ):
        registry.append(move(1, None, 1, nonce="second"))
    registry.append(move(1, None, 1, nonce="first"))  # a request that is sent again does no harm
    assert len(registry.moves()) == 1


def write_by_hand(registry: Registry, number: int, text: str) -> None:
    """A plain client writes into the journal."""
    run = registry.client.get_registered_model(NAME).tags["hmu.journal"]
    registry.client.log_param(run, f"move-{number:06d}", text)


def test_a_plain_clients_move_is_void_and_told(registry: Registry) -> None:
    for digest in "ab":
        add(registry, digest)
    registry.append(move(1, None, 1))
    registry.follow()
    write_by_hand(registry, 2, json.dumps(asdict(move(2, 1, 2))))
    assert registry.follow() == JournalState(1, None, 2)
    assert registry.aliases() == {CHAMPION: 1}
    assert registry.journal().faults == ("move-000002 is not signed; it is void",)
    registry.append(move(3, 1, 2))
    assert registry.follow() == JournalState(2, 1, 3)
    with pytest.raises(HmuError, match="move-000002 was written by something that is not HMU"):
        registry.append(move(2, 1, 2, nonce="late"))


def test_a_repointed_journal_is_told_and_changes_nothing(registry: Registry) -> None:
    """An empty run, and one with a copy of the first moves, in which the last ones never happened."""
    for digest in "abc":
        add(registry, digest)
    registry.append(move(1, None, 1))
    registry.append(move(2, 1, 2))
    registry.follow()
    run = registry.client.get_registered_model(NAME).tags["hmu.journal"]
    first = registry.client.get_run(run).data.params["move-000001"]
    for kept in ({}, {"move-000001": first}):
        other = registry.client.create_run("0").info.run_id
        for key, text in kept.items():
            registry.client.log_param(other, key, text)
        registry.client.set_registered_model_tag(NAME, "hmu.journal", other)
        found = registry.journal()
        assert [one.end for one in found.moves] == [1, 2]
        assert (
            f"run {run} holds the signed moves of {NAME}, but the tag hmu.journal names {other}"
            in found.faults[0]
        )
        assert len(found.faults) == 1 + len(kept)
        assert registry.misplaced(registry.state(found)) == []
    registry.client.set_registered_model_tag(NAME, "hmu.journal", "no-run")
    assert [one.end for one in registry.journal().moves] == [1, 2]
    registry.append(move(3, 2, 3))  # goes where the others are
    assert registry.follow() == JournalState(3, 2, 3)


def test_an_interrupted_move_is_finished_and_a_moved_alias_is_not(registry: Registry) -> None:
    for digest in "abc":
        add(registry, digest)
    registry.append(move(1, None, 1))  # killed before the alias was set
    assert registry.settle(registry.journal())
    assert registry.aliases() == {CHAMPION: 1}
    assert not registry.settle(registry.journal())
    registry.append(move(2, 1, 2))
    registry.set_alias(CHAMPION, 2)  # killed between the two aliases
    assert registry.settle(registry.journal())
    assert registry.aliases() == {CHAMPION: 2, PREVIOUS: 1}
    for number in (3, 1):  # 1 was champion before: only that the last move was finished tells it from a kill
        registry.set_alias(CHAMPION, number)
        assert not registry.settle(registry.journal())
        assert registry.aliases()[CHAMPION] == number


def test_a_deleted_champion_is_skipped(registry: Registry) -> None:
    for digest in "abc":
        add(registry, digest)
    for number, start in ((1, None), (2, 1), (3, 2)):
        registry.append(move(number, start, number))
    registry.follow()
    registry.client.delete_model_version(NAME, "2")
    assert registry.follow() == JournalState(3, 1, 3, (2,))
    assert registry.aliases() == {CHAMPION: 3, PREVIOUS: 1}
    registry.client.delete_model_version(NAME, "3")
    assert registry.state() == JournalState(None, 1, 3, (3, 2))
    registry.append(move(4, None, 1, "rollback"))
    assert registry.follow() == JournalState(1, None, 4)
    assert registry.aliases() == {CHAMPION: 1}


def test_a_model_that_others_made_is_left_alone(registry: Registry) -> None:
    registry.client.create_registered_model(NAME)
    with pytest.raises(HmuError, match="was not made by"):
        registry.moves()
    assert registered_names(registry.root) == []


@pytest.mark.slow
def test_registrations_at_the_same_moment_make_one_version(registry: Registry) -> None:
    found = race(registry.root, "add", 3)
    assert len(registry.versions()) == 1
    assert [line.split()[0] for line in found] == [str(registry.versions()[0].number)] * 3
    assert sorted(line.split()[1] for line in found) == ["False", "False", "True"]
    journals = registry.client.search_runs(
        [registry.client.get_experiment_by_name("hmu promotions").experiment_id]
    )
    assert len(journals) == 1


@pytest.mark.slow
def test_of_promotions_at_the_same_moment_one_wins(registry: Registry) -> None:
    for digest in "abc":
        add(registry, digest)
    found = race(registry.root, "promote", 3)
    won = [line for line in found if line.startswith("won")]
    lost = [line for line in found if line.startswith("lost")]
    assert (len(won), len(lost)) == (1, 2)
    winner = int(won[0].split()[1])
    assert registry.aliases() == {CHAMPION: winner}
    assert all(f"racer {winner} was first" in line for line in lost)
    assert len(registry.moves()) == 1
