"""Structural fuzzing of every reader: headers that lie about sizes, types and places; names, numbers and trees that
are well-formed and wrong. Examples are the same in every run.
"""

import copy
import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from foreign_files import READERS, Reader
from hostile_bundles import PARTS
from hostile_bytes import (
    DEFLATED,
    checkpoint,
    marked,
    module_pickle,
    npy_header,
    script,
    tensor_pickle,
    zipped,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from measured_reading import measured
from ruamel.yaml import YAML

from hmu_tasks.tracking import lineage

SIZES = st.sampled_from(
    [0, 1, 2, 3, 5, 4096, 10**6, 2**31 - 1, 2**31, 2**32, 2**53, 2**62, 2**63, 2**64, -1, -(2**40)]
)
SHAPES = st.lists(SIZES, max_size=4)
TYPES = ["F32", "F64", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "F4", "C64", "x", ""]
NUMBERS = ["0", "-1", "1e400", "nan", "NaN", "inf", "٣", "１２", "1_0", "0x10", "9" * 400, "9" * 5000]
MARKS = [
    "",
    "#",
    "##",
    '"',
    ",",
    ":",
    "{",
    "}",
    "[",
    "&a",
    "*a",
    "<<",
    "!!int",
    "|",
    "%",
    "<b>",
    "../..",
    "/etc/passwd",
]
LETTERS = ["\x00", "\x1a", "\u2028", "\ufeff", "\t", "\r", "\n", "é", "\U0001f600", "a" * 300]
WORDS = ["MOTION", "HIERARCHY", "JOINT", "Frames:", "CHANNELS 3", "CHANNELS", "train"]
TOKENS = st.sampled_from([*NUMBERS, *MARKS, *LETTERS, *WORDS])
calm = settings(
    max_examples=int(os.environ.get("HMU_FUZZ_EXAMPLES", "40")),
    deadline=None,
    derandomize="HMU_FUZZ_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


@st.composite
def lying_tensors(draw: Callable[[Any], Any], good: bytes) -> bytes:
    names = re.findall(rb'"(\w+)":\{', good)[:2]
    header = {}
    for name in names:
        entry = {"dtype": draw(st.sampled_from(TYPES)), "shape": draw(SHAPES)}
        header[name.decode()] = entry | {"data_offsets": draw(st.lists(SIZES, min_size=1, max_size=3))}
    text = json.dumps(header).encode()
    length = draw(st.sampled_from([len(text), len(text), 0, len(text) + 1, 2**32, 2**63]))
    return struct.pack("<Q", length) + text + bytes(draw(st.sampled_from([0, 4, 8, 64])))


@st.composite
def lying_pickled(draw: Callable[[Any], Any]) -> bytes:
    shape = tuple(draw(SHAPES))
    stride = tuple(draw(st.lists(SIZES, min_size=len(shape), max_size=len(shape))))
    return tensor_pickle(shape, stride, draw(SIZES), draw(SIZES))


@st.composite
def lying_torch(draw: Callable[[Any], Any], _: bytes) -> bytes:
    return checkpoint(
        draw(lying_pickled()),
        bytes(draw(st.sampled_from([0, 8, 4096]))),
        draw(st.sampled_from([0, DEFLATED])),
    )


@st.composite
def lying_script(draw: Callable[[Any], Any], _: bytes) -> bytes:
    content = {"0": bytes(draw(st.sampled_from([0, 8, 4096])))}
    return script(module_pickle(draw(lying_pickled())), content, draw(st.sampled_from([0, DEFLATED])))


OPCODES = [
    b"}",
    b"]",
    b")",
    b"(",
    b"t",
    b"\x85",
    b"\x86",
    b"\x87",
    b"s",
    b"u",
    b"a",
    b"e",
    b"2",
    b"0",
    b"N",
    b"K\x05",
    b"\x94",
]
OPCODES += [
    b"X\x01\x00\x00\x00a",
    b"q\x00",
    b"h\x00",
    b"r\xff\xff\xff\x7f",
    b"j\xff\xff\xff\x7f",
    b"\x8a\x01\x05",
    b"Q",
    b"R",
    b"b",
]
OPCODES += [
    b"cbuiltins\ndict\n",
    b"\x8d" + b"\xff" * 8,
    b"I5\n",
    b"I" + b"9" * 5000 + b"\n",
    b"\x90",
    b"\x91",
    b"\x8f",
    b"1",
    b"G" + bytes(8),
]


@st.composite
def lying_pickle(draw: Callable[[Any], Any], _: bytes) -> bytes:
    return b"\x80\x04" + b"".join(draw(st.lists(st.sampled_from(OPCODES), max_size=40))) + b"."


@st.composite
def lying_npy(draw: Callable[[Any], Any], _: bytes) -> bytes:
    descr = draw(
        st.sampled_from(
            [
                "'<f4'",
                "'<f8'",
                "'|u1'",
                "'<U9'",
                "'|O'",
                "'<c8'",
                "[('a', '<f4')]",
                "'|V0'",
                "'<M8[s]'",
                "3",
                "()",
            ]
        )
    )
    shape = draw(
        st.one_of(
            SHAPES.map(lambda s: repr(tuple(s))),
            st.sampled_from(["(True,)", "(1.5,)", "()", "[3]", "('3',)", "(3, (3,))"]),
        )
    )
    return draw(
        st.sampled_from([npy_header(descr, shape), npy_header(descr, shape).replace(b"Y\x01", b"Y\x03")])
    )


@st.composite
def lying_npz(draw: Callable[[Any], Any], _: bytes) -> bytes:
    names = ["trans", "poses", "mocap_framerate", "a"]
    content = zipped(
        {f"{name}.npy": draw(lying_npy(b"")) for name in names}, draw(st.sampled_from([0, DEFLATED]))
    )
    return marked(
        content,
        draw(st.sampled_from([8, 10, 20, 23, 24, 27, 42, 45])),
        draw(st.sampled_from([0, 1, 8, 14, 99, 255])),
    )


@st.composite
def lying_text(draw: Callable[[Any], Any], good: bytes) -> bytes:
    parts = re.split(r"(\s+|[,#:/])", good.decode()[:6000])
    for place in draw(st.lists(st.integers(0, len(parts) - 1), min_size=1, max_size=4)):
        parts[place] = draw(TOKENS)
    return "".join(parts).encode()


VALUES = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1.5,
        1e308,
        2**70,
        "",
        "a",
        "../..",
        "\x00",
        [],
        {},
        [[]],
        {"a": []},
        [None],
        ["a", 1],
        {"": {"": 0}},
    ]
).map(copy.deepcopy)


def _paths(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [at, *(path for key, value in below for path in _paths(value, (*at, key)))]


@st.composite
def lying_tree(draw: Callable[[Any], Any], good: bytes) -> bytes:
    tree = YAML(typ="safe").load(good.decode())  # JSON is YAML
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(_paths(tree)))
        if not path:
            tree = draw(VALUES)
            continue
        holder = tree
        for key in path[:-1]:
            holder = holder[key]
        if draw(st.booleans()) or not isinstance(holder, dict):
            holder[path[-1]] = draw(VALUES)
        else:
            holder[draw(st.sampled_from(["unknown", "", "a b", "<<"]))] = holder.pop(path[-1])
    return json.dumps(tree).encode()


@st.composite
def lying_sizes(draw: Callable[[Any], Any], good: bytes) -> bytes:
    """A configuration with other numbers, of which some fit together."""
    tree = json.loads(good)
    keys = sorted(key for key, value in tree.items() if isinstance(value, int | float))
    for key in draw(st.lists(st.sampled_from(keys), min_size=1, max_size=4)):
        tree[key] = draw(st.one_of(SIZES, st.integers(0, 70), VALUES))
    return json.dumps(tree).encode()


@st.composite
def edited(draw: Callable[[Any], Any], good: bytes) -> bytes:
    """Bytes of the header and of the footer, where a binary format keeps its sizes and places."""
    out = bytearray(good)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, 200)) * draw(st.sampled_from([1, -1]))
        out[place % len(out)] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
    return bytes(out)


STRATEGIES: dict[str, Callable[[bytes], st.SearchStrategy[bytes]]] = {
    "tensors": lying_tensors,
    "torch": lying_torch,
    "script": lying_script,
    "pickle": lying_pickle,
    "npy": lying_npy,
    "npz": lying_npz,
    "text": lying_text,
    "yaml": lying_tree,
    "json": lying_tree,
    "table": edited,
    "archive": edited,
    "database": edited,
    **{f"sizes of {part}": lying_sizes for part in PARTS},
}


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_headers_and_trees_that_lie(reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "QUIET_SECONDS", 0.0)
    monkeypatch.chdir(tmp_path)
    path = reader.place(tmp_path / "place")

    @calm
    @given(content=st.one_of(STRATEGIES[reader.format](reader.good()), edited(reader.good())))
    def each(content: bytes) -> None:
        path.write_bytes(content)
        found = measured(lambda: reader.read(path))
        assert found.outcome in ("refused", "read"), found
        assert found.seconds < 10, found
        assert found.memory < 400, found

    each()
    assert not (tmp_path / "ran").exists()
