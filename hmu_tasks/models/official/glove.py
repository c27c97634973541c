"""The evaluator's GloVe vocabulary: our_vab_data.npy, _words.pkl and _idx.pkl, read without unpickling code."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from hmu_tasks.models.evaluators.words import UNKNOWN
from hmu_tasks.models.official.archive import DAMAGED, read_array
from hmu_tasks.models.official.pickles import check_pickle
from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.foreign import TEXT, read_bytes

FILES = ("our_vab_data.npy", "our_vab_words.pkl", "our_vab_idx.pkl")
_NEEDED = ("sos", "eos", UNKNOWN)


class _PlainUnpickler(pickle.Unpickler):
    """Reads lists, dictionaries, strings and numbers; any class or function that a file names is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse: nothing in a vocabulary needs a class."""
        raise pickle.UnpicklingError(f"it refers to the code {module}.{name}, which was not run")


def read_glove(folder: Path) -> tuple[list[str], np.ndarray]:
    """Read the words and their vectors, [N, width] float32, row i for word i.

    Raises WeightsError for a file that is missing, damaged, a pickle with code in it, or does not fit the others.
    """
    data, listed, index = (folder / name for name in FILES)
    words, rows = _plain(listed), _plain(index)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise WeightsError(f"{listed} must hold a list of words; get the file again")
    vectors = read_array(data)
    if vectors.ndim != 2:
        raise WeightsError(f"{data} must hold rows of numbers, found {vectors.shape}; get the file again")
    if not isinstance(rows, dict) or not all(type(row) is int for row in rows.values()):
        raise WeightsError(f"{index} must map words to row numbers; get the file again")
    lost = [word for word in words if not 0 <= rows.get(word, -1) < len(vectors)]
    if lost:
        raise WeightsError(
            f"{index} gives no row of {data.name} ({len(vectors)} rows) for {len(lost)} words, such as {lost[0]!r}"
        )
    absent = [word for word in _NEEDED if word not in set(words)]
    if absent or len(set(words)) != len(words):
        raise WeightsError(f"{listed} lacks {', '.join(absent)}" if absent else f"{listed} has a word twice")
    return words, np.ascontiguousarray(vectors[[rows[word] for word in words]])


def _plain(path: Path) -> Any:
    try:
        # From memory: a string that announces gigabytes gets what is there, and an error.
        stream = io.BytesIO(read_bytes(path, limit=TEXT))
        check_pickle(stream)
        stream.seek(0)
        return _PlainUnpickler(stream).load()
    except FileNotFoundError as error:
        raise WeightsError(
            f"{path} is missing; the published evaluator needs its GloVe vocabulary: {', '.join(FILES)}"
        ) from error
    except DAMAGED as error:
        raise WeightsError(
            f"{path} cannot be read as a plain list or dictionary ({error}); get it from the publisher of the evaluator"
        ) from error
