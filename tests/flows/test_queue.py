"""Which stage starts next: inputs first, then the critical path, then first in, first out."""

import math

from flows.engine.graph import Stage, critical_path
from flows.engine.queue import ReadyQueue

STAGES = [
    Stage("ingest", (), seconds=10),
    Stage("short", ("ingest",), seconds=1),
    Stage("long", ("ingest",), resource="gpu", seconds=90),
    Stage("first", ("ingest",), seconds=5),
    Stage("second", ("ingest",), seconds=5),
    Stage("report", ("long", "first"), seconds=2),
]


def queue(*stages: Stage) -> ReadyQueue:
    chosen = list(stages or STAGES)
    return ReadyQueue(chosen, critical_path(chosen))


def names(stages: list[Stage]) -> list[str]:
    return [stage.name for stage in stages]


def test_the_longest_critical_path_goes_first_and_ties_are_fifo() -> None:
    waiting, free, kind = queue(), {"cpu": 1.0}, {stage.name: "cpu" for stage in STAGES}
    order = []
    while taken := names(waiting.take(free, kind)):
        order += taken
        free["cpu"] += 1
        waiting.done(taken[0])
    assert order == ["ingest", "long", "first", "second", "report", "short"]


def test_nothing_starts_before_its_inputs_or_without_a_place() -> None:
    waiting, free = queue(), {"cpu": 2.0, "gpu": 1.0}
    kind = {stage.name: stage.resource for stage in STAGES}
    assert names(waiting.take(free, kind)) == ["ingest"]
    assert waiting.take(free, kind) == []
    waiting.done("ingest")
    assert names(waiting.take(free, kind)) == ["long", "first"]
    assert (free["cpu"], free["gpu"]) == (0, 0)
    free["cpu"] += 1
    waiting.done("first")
    assert names(waiting.take(free, kind)) == ["second"]


def test_a_stage_that_waits_for_a_gpu_keeps_no_cpu_place() -> None:
    waiting, free = queue(), {"cpu": math.inf, "gpu": 0.0}
    kind = {stage.name: stage.resource for stage in STAGES}
    waiting.take(free, kind)
    waiting.done("ingest")
    assert names(waiting.take(free, kind)) == ["first", "second", "short"]


def test_stages_behind_a_failure_are_never_ready() -> None:
    waiting, free, kind = queue(), {"cpu": math.inf}, {stage.name: "cpu" for stage in STAGES}
    waiting.take(free, kind)
    waiting.done("ingest")
    assert "report" not in names(waiting.take(free, kind))
    waiting.done("first")
    assert waiting.take(free, kind) == []


def test_needs_outside_of_the_walk_do_not_count() -> None:
    waiting = queue(*STAGES[1:3])
    assert names(waiting.take({"cpu": math.inf}, {"short": "cpu", "long": "cpu"})) == ["long", "short"]
