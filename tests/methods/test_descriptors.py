"""Descriptors: complete, distinct, and loaded without torch."""

import subprocess
import sys

import pytest
from matplotlib.lines import Line2D
from modules import ROOT

from hmu_tasks.methods import METHODS, method_of
from hmu_tasks.methods.method import NETWORKS, Knobs
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.viewer import drawing, summary

LOADED = """
import sys
from hmu_tasks.config.params import load
from hmu_tasks.methods import METHODS, method_of
load()
assert [method_of(name).name for name in METHODS] == list(METHODS)
print(*sorted({"torch", "numpy", "pandas", "safetensors"} & set(sys.modules)))
"""


@pytest.mark.parametrize("name", METHODS)
def test_a_descriptor_is_complete(name: str) -> None:
    method = method_of(name)
    assert method.name == name == METHODS[name].rpartition(".")[2]
    assert name not in ENDS
    assert issubclass(method.section, Knobs)
    assert set(method.changes) <= {NETWORKS, "tokenizer", "text"}
    assert method.changes
    assert method.marker in Line2D.markers
    assert method.strength.written.count("{}") == 1
    assert method.titled(None) == method.label
    assert summary.name_of(name, 5) == f"{method.label}, {method.strength.written.format(5)}"


def test_readers_can_tell_methods_apart() -> None:
    methods = [method_of(name) for name in METHODS]
    taken = [*drawing.COLOURS.values(), drawing.INK, drawing.MUTED, drawing.GRID, drawing.PAPER]
    for values, others in (
        ([method.colour.light for method in methods], taken),
        ([method.colour.dark for method in methods], []),
        ([method.marker for method in methods], list(drawing.MARKERS.values())),
        ([method.label for method in methods], list(summary.REFERENCES.values())),
        ([summary.short_name(method.name) for method in methods], []),
    ):
        assert len({*values, *others}) == len(values) + len(others)


def test_an_unknown_method_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'lrc'; choose one of lcr, prune, distill, uce"):
        method_of("lrc")


def test_parameters_and_descriptors_load_without_torch() -> None:
    command = [sys.executable, "-c", LOADED]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (found.returncode, found.stdout.strip()) == (0, ""), found.stderr
