"""BVH files that were changed at random are read or refused, never more."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_bvh import bvh_text

from hmu_tasks.data.datasets.bvh.reader import read
from hmu_tasks.runtime.errors import DataError


def test_other_bytes_are_refused(tmp_path):
    file = tmp_path / "latin.bvh"
    file.write_bytes(bytes(range(256)) * 40)
    with pytest.raises(DataError, match="not a BVH file"):
        read(file)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "absent.bvh")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path)


PIECES = ["", "{", "}", "\n", "JOINT", "End Site", "MOTION", "OFFSET", "CHANNELS", "0", "nan", "-", "\0"]
WORDS = re.findall(r"\S+|\n", bvh_text(3))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(WORDS) - 1),
            st.sampled_from(PIECES),
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(0, len(WORDS)),
)  # fmt: skip
def test_whatever_is_changed_is_read_or_refused(tmp_path_factory, changes, end):
    """A file with a few words replaced, possibly truncated, gives finite positions or a DataError, nothing else."""
    words = list(WORDS)
    for place, word in changes:
        words[place] = word
    file = tmp_path_factory.mktemp("fuzz") / "a.bvh"
    file.write_text(" ".join(words if end % 2 else words[:end]), encoding="utf-8")
    try:
        recording = read(file)
    except DataError:
        return
    assert np.isfinite(recording.world()).all()
    assert len(recording.positions) == 3


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.binary(max_size=200) | st.text(max_size=200).map(lambda text: f"HIERARCHY\n{text}\nMOTION\n".encode())
)
def test_bytes_at_random_are_refused(tmp_path_factory, raw):
    file = tmp_path_factory.mktemp("fuzz") / "a.bvh"
    file.write_bytes(raw)
    with pytest.raises(DataError):
        read(file)
