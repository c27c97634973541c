"""Whatever bytes lie in an official folder: they are read, or refused by an error of ours, and nothing else happens."""

import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from official_tree import RVQ, write_glove

from hmu_tasks.models.official.archive import module_state, read_checkpoint, read_statistics
from hmu_tasks.models.official.glove import read_glove
from hmu_tasks.models.official.options import read_options
from hmu_tasks.models.official.torchscript import read_parameters
from hmu_tasks.runtime.errors import WeightsError

EDITS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8)
CUT = st.one_of(st.none(), st.integers(0, 10**6))
calm = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def damaged(content: bytes, edits: list[tuple[int, int]], cut: int | None) -> bytes:
    """The same file with some bytes changed, and cut off somewhere."""
    out = bytearray(content)
    for place, value in edits:
        out[place % len(out)] = value
    return bytes(out if cut is None else out[: cut % len(out)])


def refused_or_read(read: Callable[[], Any]) -> None:
    with suppress(WeightsError):
        read()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("saved")
    content = {"net": {"a.weight": torch.ones(3, 2), "b": torch.zeros(2)}, "ep": 3, "scheduler": {"x": [1.5]}}
    torch.save(content, folder / "new")
    torch.save(content, folder / "old", _use_new_zipfile_serialization=False)
    with pytest.warns(DeprecationWarning, match=r"torch\.jit"), torch.random.fork_rng():
        torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(str(folder / "script"))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["new", "old"])
@calm
@given(edits=EDITS, cut=CUT)
def test_checkpoints(
    saved: dict[str, bytes], tmp_path: Path, kind: str, edits: list[tuple[int, int]], cut: int | None
) -> None:
    path = tmp_path / "net.tar"
    path.write_bytes(damaged(saved[kind], edits, cut))
    refused_or_read(lambda: module_state(read_checkpoint(path), path, "net"))


@calm
@given(edits=EDITS, cut=CUT)
def test_archives(
    saved: dict[str, bytes], tmp_path: Path, edits: list[tuple[int, int]], cut: int | None
) -> None:
    path = tmp_path / "clip.pt"
    path.write_bytes(damaged(saved["script"], edits, cut))
    refused_or_read(lambda: read_parameters(path))


@pytest.mark.parametrize("file", ["our_vab_data.npy", "our_vab_words.pkl", "our_vab_idx.pkl"])
@calm
@given(edits=EDITS, cut=CUT)
@example(edits=[(22, ord("a"))], cut=None)  # in an array file: a type of which NumPy warns
def test_vocabularies(tmp_path: Path, file: str, edits: list[tuple[int, int]], cut: int | None) -> None:
    write_glove(tmp_path)
    path = tmp_path / file
    path.write_bytes(damaged(path.read_bytes(), edits, cut))
    refused_or_read(lambda: read_glove(tmp_path))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@calm
@given(words=PLAIN, rows=PLAIN)
def test_vocabularies_of_other_things(tmp_path: Path, words: object, rows: object) -> None:
    write_glove(tmp_path)
    for name, value in (("words", words), ("idx", rows)):
        (tmp_path / f"our_vab_{name}.pkl").write_bytes(pickle.dumps(value))
        with pytest.raises(WeightsError):
            read_glove(tmp_path)


@calm
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_option_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "opt.txt"
    path.write_bytes(content)

    def read() -> None:
        options = read_options(path)
        for key in options.values:
            refused_or_read(lambda key=key: options.integer(key, high=9))  # type: ignore[misc]
            refused_or_read(lambda key=key: options.share(key))  # type: ignore[misc]

    refused_or_read(read)


@calm
@given(content=st.binary(max_size=300))
def test_statistics(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / RVQ
    (folder / "meta").mkdir(parents=True, exist_ok=True)
    for name in ("mean", "std"):
        (folder / "meta" / f"{name}.npy").write_bytes(b"\x93NUMPY\x01\x00" + content)
    refused_or_read(lambda: read_statistics(folder))
