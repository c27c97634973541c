"""What a stage prints: lines, bars and secrets; and the seats on GPUs."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest
from toy_project import Project

from flows.form import AS_COMMITTED, changes
from flows.redaction import redactor
from flows.slots import Slots, stages_per_device
from flows.stage import Console, Processes, output_lines, run_stage
from hmu_tasks.runtime.errors import HmuError


def read(*blocks: bytes) -> list[tuple[str, bool]]:
    """Lines of a pipe that is written block by block, each read before the next is there."""
    reader, writer = os.pipe()
    found = []
    with os.fdopen(reader, "rb") as stream:
        lines = output_lines(stream)
        os.write(writer, b"".join(blocks))
        os.close(writer)
        found = list(lines)
    return found


def test_lines_and_bars() -> None:
    assert read(b"one\ntwo\r\n", b"\n  \nthree") == [
        ("one", True),
        ("two", True),
        ("three", False),
        ("three", True),
    ]
    assert read(b"\rtrain:  10%|# \rtrain:  50%|###  ") == [
        ("train:  50%|###", False),
        ("train:  50%|###", True),
    ]
    assert read(b"a: 1%|\ra: 2%|\n") == [("a: 2%|", True)]
    assert read(b"caf\xff\n") == [("caf�", True)]
    assert read(b"") == []


def test_the_state_of_a_bar_goes_to_the_progress(project: Project) -> None:
    shown: list[tuple[str, int]] = []
    lines: list[str] = []
    console = Console(log=lines.append, progress=lambda label, percent: shown.append((label, percent)))
    outcome = run_stage(
        "train@a",
        root=project.root,
        force=False,
        environment=project.environment | {"TOY_PASSWORD": "tulip-garden"},
        processes=Processes(),
        console=console,
    )
    assert outcome.status != 0  # `prepare` has not run
    project.dvc("repro", "-q", "prepare")
    outcome = run_stage(
        "train@a",
        root=project.root,
        force=False,
        environment=project.environment | {"TOY_PASSWORD": "tulip-garden"},
        processes=Processes(),
        console=console,
    )
    assert (outcome.status, outcome.executed) == (0, True)
    assert shown[-1] == ("train-a", 80)
    assert "Running stage 'train@a':" in lines
    assert "password is ***" in lines
    assert not any("dvc push" in line for line in lines)


def test_stages_get_huge_pages_unless_told_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def seen() -> str:
        code = "import os; print(os.environ['GLIBC_TUNABLES'])"
        process = Processes().start([sys.executable, "-c", code], root=tmp_path, environment={})
        assert process is not None
        return process.communicate(timeout=60)[0].decode().strip()

    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    assert seen() == "glibc.malloc.hugetlb=1"
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=0")
    assert seen() == "glibc.malloc.hugetlb=0"


def test_secrets_are_blotted_out() -> None:
    redact = redactor(
        {
            "DB_PASSWORD": "tulip-garden",
            "PREFECT_AUTH": "anna:longsecret",
            "HOME": "/home/anna",
            "TOKEN": "on",
        }
    )
    assert redact("tulip-garden and longsecret for anna on") == "*** and *** for anna on"
    assert redact("postgresql://hmu:pass@host/db") == "postgresql://***@host/db"
    assert redact("https://example.org/a:b@c") == "https://example.org/a:b@c"


def test_seats_are_shared_between_flows_and_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    one, other = Slots(1, ["0", "1"]), Slots(1, ["0", "1"])
    with one.take("x", "gpu") as first, other.take("x", "gpu") as second:
        assert {first.label, second.label} == {"GPU 0", "GPU 1"}
        assert first.environment["CUDA_VISIBLE_DEVICES"] != second.environment["CUDA_VISIBLE_DEVICES"]
        waiting = threading.Event()

        def third() -> None:
            with one.take("x", "gpu"):
                waiting.set()

        thread = threading.Thread(target=third)
        thread.start()
        assert not waiting.wait(0.5)
    assert waiting.wait(10)
    thread.join()
    with one.take("x", "gpu"), one.take("x", "gpu"), pytest.raises(HmuError, match="stopped while"):
        one.take("x", "gpu", given_up=lambda: True).__enter__()
    with Slots(1, []).take("x", "gpu") as slot:
        assert slot.label == "CPU slot 0"


def test_more_stages_on_each_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    slots = Slots(1, ["4"], per_device=2)
    with slots.take("x", "gpu") as first, slots.take("x", "gpu") as second:
        assert first.environment == second.environment == {"CUDA_VISIBLE_DEVICES": "4"}
    monkeypatch.setenv("HMU_STAGES_PER_GPU", "2")
    assert stages_per_device() == 2
    monkeypatch.setenv("HMU_STAGES_PER_GPU", "none")
    with pytest.raises(HmuError, match="HMU_STAGES_PER_GPU is 'none'"):
        stages_per_device()


def queue_up(slots: Slots, order: list[str], name: str, way: float) -> threading.Thread:
    """Let a thread wait for a slot and note when it had it."""

    def stage() -> None:
        with slots.take(name, "cpu", way=way) as slot:
            assert slot.label == "CPU slot 0"
            order.append(name)

    thread = threading.Thread(target=stage)
    thread.start()
    time.sleep(0.1)  # so that they come in this order
    return thread


def test_the_longest_way_goes_first() -> None:
    slots = Slots(1, [])
    order: list[str] = []
    with slots.take("now", "cpu"):
        ways = (("short", 1.0), ("long", 9.0), ("first", 5.0), ("second", 5.0))
        threads = [queue_up(slots, order, name, way) for name, way in ways]
        assert order == []
    for thread in threads:
        thread.join(timeout=10)
    assert order == ["long", "first", "second", "short"]


def test_a_slot_is_kept_for_a_stage_that_is_expected_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slots = Slots(1, [])
    order: list[str] = []
    slots.expect([("long", "cpu", 9.0), ("short", "cpu", 1.0)])
    short = queue_up(slots, order, "short", 1.0)
    assert order == []
    queue_up(slots, order, "long", 9.0).join(timeout=10)
    short.join(timeout=10)
    assert order == ["long", "short"]
    monkeypatch.setattr("flows.slots.PATIENCE_SECONDS", 0.5)
    slots.expect([("lost", "cpu", 99.0)])
    queue_up(slots, order, "next", 1.0).join(timeout=10)
    assert order == ["long", "short", "next"]


def test_a_seat_on_a_device_keeps_no_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    slots = Slots(1, ["0"])
    slots.expect([("train", "gpu", 99.0)])
    started = time.monotonic()
    with slots.take("report", "cpu", way=1.0) as slot:
        assert slot.label == "CPU slot 0"
    assert time.monotonic() - started < 2


def test_the_form_changes_only_what_is_filled_in() -> None:
    empty = {
        "concept": "",
        "dataset": AS_COMMITTED,
        "models": [],
        "methods": [],
        "seeds": [],
        "overrides": {},
    }
    assert changes(**empty) == {}
    filled = empty | {"concept": "wave", "methods": ["lcr"], "seeds": [7], "overrides": {"run.track": False}}
    assert changes(**filled) == {
        "run.concept": "wave",
        "run.methods": ["lcr"],
        "run.seed": 7,
        "run.track": False,
    }
    with pytest.raises(HmuError, match=r"run\.seed is given twice: 7 and, in the overrides, 8"):
        changes(**(filled | {"overrides": {"run.seed": 8}}))
