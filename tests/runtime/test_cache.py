"""The cache of computed arrays: what tells keys apart, and what a damaged file does."""

from pathlib import Path

import numpy as np
import pytest

from hmu_tasks.runtime.cache import cached_array, key_of

ARRAY = np.arange(6, dtype=np.float32)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": "x"}, {"b": "x"}),
        ({"a": ["x", "y"]}, {"a": ["xy"]}),
        ({"a": "1"}, {"a": 1}),
        ({"a": ARRAY}, {"a": ARRAY.reshape(2, 3)}),
        ({"a": ARRAY}, {"a": ARRAY.view(np.int32)}),
        ({"a": [ARRAY[:2], ARRAY[2:]]}, {"a": [ARRAY[:3], ARRAY[3:]]}),
        ({"a": [ARRAY]}, {"a": ARRAY}),
    ],
)
def test_other_inputs_have_another_key(one: dict[str, object], other: dict[str, object]) -> None:
    assert key_of(one) != key_of(other)


def test_the_order_of_inputs_is_free_and_code_counts() -> None:
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    assert key_of({"a": 1}, code=("models",)) != key_of({"a": 1}, code=("models", "evaluation"))


@pytest.mark.parametrize("damage", [b"", b"damaged"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    made: list[int] = []

    def make() -> np.ndarray:
        made.append(1)
        return ARRAY[::2]

    first = cached_array(tmp_path, "kind", {"a": 1}, make)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    np.testing.assert_array_equal(cached_array(tmp_path, "kind", {"a": 1}, make), first)
    assert len(made) == 1
    file.write_bytes(damage)
    np.testing.assert_array_equal(cached_array(tmp_path, "kind", {"a": 1}, make), ARRAY[::2])
    assert (len(made), file.read_bytes()) == (2, whole)
