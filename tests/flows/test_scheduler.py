"""Which stage starts next, and on which slot."""

import threading
from pathlib import Path

import pytest

from flows.engine.graph import Stage
from flows.engine.scheduler import Scheduler
from flows.engine.slots import Slots, stages_per_device
from hmu_tasks.runtime.errors import HmuError

STAGES = [
    Stage("prepare", ()),
    Stage("short", ("prepare",), seconds=1.0),
    Stage("long", ("prepare",), seconds=9.0),
    Stage("first", ("prepare",), seconds=5.0),
    Stage("second", ("prepare",), seconds=5.0),
    Stage("last", ("short", "long"), seconds=0.5),
]


@pytest.fixture(autouse=True)
def seats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GPU seats of this test alone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def scheduler(stages: list[Stage], slots: Slots, *, without: tuple[str, ...] = ()) -> Scheduler:
    return Scheduler(stages, slots, needs_slot=lambda stage: stage.name not in without)


def start(schedule: Scheduler) -> list[str]:
    return [stage.name for stage, _ in schedule.startable()]


def test_the_longest_critical_path_goes_first_and_ties_in_order() -> None:
    schedule = scheduler(STAGES, Slots(1, []))
    order = []
    while schedule.is_active:
        (name,) = start(schedule)
        assert start(schedule) == []  # one worker
        order.append(name)
        schedule.finish(name)
    # `last` makes no difference to `short` and `long`: 9.5 and 1.5 seconds.
    assert order == ["prepare", "long", "first", "second", "short", "last"]


def test_a_dependent_that_is_ready_later_overtakes_by_its_priority() -> None:
    stages = [Stage("a", (), seconds=2.0), Stage("b", ("a",), seconds=50.0), Stage("c", (), seconds=1.0)]
    schedule = scheduler(stages, Slots(1, []))
    assert start(schedule) == ["a"]
    schedule.finish("a")
    assert start(schedule) == ["b"]
    schedule.finish("b")
    assert start(schedule) == ["c"]


def test_only_ready_stages_start_on_as_many_workers() -> None:
    schedule = scheduler(STAGES, Slots(3, []))
    assert start(schedule) == ["prepare"]
    schedule.finish("prepare")
    assert start(schedule) == ["long", "first", "second"]
    schedule.finish("first")
    assert start(schedule) == ["short"]
    schedule.finish("long")
    assert start(schedule) == []
    schedule.finish("short")
    assert start(schedule) == ["last"]


def test_what_needs_no_slot_starts_at_once() -> None:
    schedule = scheduler(STAGES, Slots(1, []), without=("prepare", "short", "second"))
    assert start(schedule) == ["prepare"]
    schedule.finish("prepare")
    assert start(schedule) == ["long", "second", "short"]


def test_a_stage_that_waits_for_a_gpu_holds_up_no_other() -> None:
    stages = [
        Stage("train-a", (), "gpu", seconds=99.0),
        Stage("train-b", (), "gpu", seconds=98.0),
        Stage("report", ()),
    ]
    schedule = scheduler(stages, Slots(1, ["0"]))
    assert start(schedule) == ["train-a", "report"]
    assert schedule.awaits_seat
    schedule.finish("report")
    assert start(schedule) == []
    schedule.finish("train-a")
    assert start(schedule) == ["train-b"]
    assert not schedule.awaits_seat


def test_an_interrupted_schedule_gives_its_seats_back() -> None:
    slots = Slots(1, ["0"])
    schedule = scheduler([Stage("train", (), "gpu")], slots)
    assert start(schedule) == ["train"]
    assert slots.take("gpu") is None
    schedule.close()
    assert slots.take("gpu") is not None


def test_seats_are_shared_between_flows_and_given_back() -> None:
    one, other = Slots(1, ["0", "1"]), Slots(1, ["0", "1"])
    first, second = one.take("gpu"), other.take("gpu")
    assert first is not None
    assert second is not None
    assert {first.label, second.label} == {"GPU 0", "GPU 1"}
    assert first.environment["CUDA_VISIBLE_DEVICES"] != second.environment["CUDA_VISIBLE_DEVICES"]
    assert one.take("gpu") is None
    waiting = threading.Event()

    def third() -> None:
        with one.hold("gpu", stopped=lambda: False):
            waiting.set()

    thread = threading.Thread(target=third)
    thread.start()
    assert not waiting.wait(0.5)
    other.give_back(second)
    assert waiting.wait(10)
    thread.join()
    with (
        one.hold("gpu", stopped=lambda: False),
        pytest.raises(HmuError, match="stopped while"),
        one.hold("gpu", stopped=lambda: True),
    ):
        pass
    one.give_back(first)
    slot = Slots(1, []).take("gpu")
    assert slot is not None
    assert slot.label == "CPU slot 0"


def test_more_stages_on_each_device(monkeypatch: pytest.MonkeyPatch) -> None:
    slots = Slots(1, ["4"], per_device=2)
    first, second = slots.take("gpu"), slots.take("gpu")
    assert first is not None
    assert second is not None
    assert first.environment == second.environment == {"CUDA_VISIBLE_DEVICES": "4"}
    monkeypatch.setenv("HMU_STAGES_PER_GPU", "2")
    assert stages_per_device() == 2
    monkeypatch.setenv("HMU_STAGES_PER_GPU", "none")
    with pytest.raises(HmuError, match="HMU_STAGES_PER_GPU is 'none'"):
        stages_per_device()
