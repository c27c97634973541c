"""Word vectors and part-of-speech vectors, the evaluator's view of a caption."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from safetensors.numpy import save as to_bytes

from hmu_tasks.models.networks.components import config_entry, load_config
from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.files import read_json, replacing, write_json
from hmu_tasks.runtime.tensor_files import read_arrays

# The 15 classes of the published evaluator, in its order (Guo et al. 2022, "Generating Diverse and Natural 3D Human
# Motions from Text"); a tag outside the list counts as OTHER.
POS_CLASSES = (
    "VERB",
    "NOUN",
    "DET",
    "ADP",
    "NUM",
    "AUX",
    "PRON",
    "ADJ",
    "ADV",
    "Loc_VIP",
    "Body_VIP",
    "Obj_VIP",
    "Act_VIP",
    "Desc_VIP",
    "OTHER",
)
# Words that the published evaluator puts into classes of their own, whatever their part of speech: "very important"
# places, body parts, objects, actions and manners. The first class that has a word takes it.
IMPORTANT_WORDS = {
    "Loc_VIP": "left right clockwise counterclockwise anticlockwise forward back backward up down straight curve",
    "Body_VIP": "arm chin foot feet face hand mouth leg waist eye knee shoulder thigh",
    "Obj_VIP": "stair dumbbell chair window floor car ball handrail baseball basketball",
    "Act_VIP": "walk run swing pick bring kick put squat throw hop dance jump turn stumble stop sit lift lower raise "
    "wash stand kneel stroll rub bend balance flap jog shuffle lean rotate spin spread climb",
    "Desc_VIP": "slowly carefully fast careful slow quickly happy angry sad happily angrily sadly",
}
_CLASS_OF = {word: kind for kind, words in IMPORTANT_WORDS.items() for word in words.split()}
UNKNOWN = "unk"
MASK = "***"  # a masked word is read as an unknown one, as published


class Words(Protocol):
    """Tokens in, word vectors [width] and word classes out."""

    width: int

    def look_up(self, word: str, tag: str) -> tuple[np.ndarray, str]:
        """Return the vector of a word and the class under which it is read."""
        ...


class HashedWords:
    """A fixed random vector per word, seeded by the word's checksum, so that no vocabulary is needed.

    The embedded benchmark uses it instead of GloVe, whose files cannot be shipped.
    """

    def __init__(self, width: int = 300) -> None:
        self.width = width
        self._known: dict[str, np.ndarray] = {}

    def __call__(self, word: str) -> np.ndarray:
        """Return the vector [width] of a word."""
        if word not in self._known:
            rng = np.random.default_rng(zlib.crc32(word.encode()))
            self._known[word] = (rng.standard_normal(self.width) * 0.4).astype(np.float32)
        return self._known[word]

    def look_up(self, word: str, tag: str) -> tuple[np.ndarray, str]:
        """Return the word's vector and its own tag."""
        return self(word), tag


class GloveWords:
    """The published evaluator's vocabulary: other words read as `unk`, "very important" ones have their own class."""

    def __init__(self, words: Sequence[str], vectors: np.ndarray) -> None:
        self.width = vectors.shape[1]
        self.words, self.vectors = list(words), vectors
        self._rows = {word: row for row, word in enumerate(words)}

    def look_up(self, word: str, tag: str) -> tuple[np.ndarray, str]:
        """Return the vector of a word (of `unk` outside the vocabulary) and its class."""
        row = self._rows.get(word)
        if row is None:
            return self.vectors[self._rows[UNKNOWN]], "OTHER"
        return self.vectors[row], _CLASS_OF.get(word, tag)

    def save(self, folder: Path) -> None:
        """Write words.json and words.safetensors into `folder`."""
        write_json(folder / "words.json", self.words)
        with replacing(folder / "words.safetensors") as temporary:
            temporary.write_bytes(to_bytes({"vectors": self.vectors}))


def load_glove(folder: Path) -> GloveWords:
    """Read what `GloveWords.save` wrote; raises WeightsError when it is missing, damaged or of two lengths."""
    try:
        words = read_json(folder / "words.json")
        vectors: np.ndarray = read_arrays(folder / "words.safetensors")["vectors"]
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(
            f"the evaluator's vocabulary in {folder} cannot be read ({error}); train or import the evaluator again"
        ) from error
    plain = isinstance(words, list) and all(isinstance(word, str) for word in words)
    if not plain or vectors.ndim != 2 or len(words) != len(vectors) or UNKNOWN not in words:
        raise WeightsError(
            f"the evaluator's vocabulary in {folder}: words.json does not fit words.safetensors; "
            "train or import the evaluator again"
        )
    return GloveWords(words, vectors)


def embed_tokens(
    captions: Sequence[Sequence[str]], words: Words, *, max_words: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn captions of `word/POS` tokens into the evaluator's arrays.

    Each caption is framed by sos and eos and cut to `max_words` tokens between them, as published.
    Returns word vectors [B, L, width], one-hot classes [B, L, 15] and lengths [B].
    """
    framed = [["sos/OTHER", *tokens[:max_words], "eos/OTHER"] for tokens in captions]
    lengths = np.array([len(tokens) for tokens in framed])
    vectors = np.zeros((len(framed), lengths.max(), words.width), np.float32)
    classes = np.zeros((len(framed), lengths.max(), len(POS_CLASSES)), np.float32)
    for b, tokens in enumerate(framed):
        for t, token in enumerate(tokens):
            word, _, tag = token.rpartition("/")
            if word == MASK:
                word, tag = UNKNOWN, "OTHER"
            vectors[b, t], tag = words.look_up(word, tag)
            classes[b, t, POS_CLASSES.index(tag) if tag in POS_CLASSES else -1] = 1.0
    return vectors, classes, lengths


def load_words(folder: Path) -> Words:
    """Read the vocabulary of an evaluator: the published one's GloVe vectors, or the hashed ones of our own."""
    config = load_config(folder)
    kind = config.get("words", "hashed")
    if kind == "glove":
        return load_glove(folder)
    if kind == "hashed":
        return HashedWords(int(config_entry(config, "word_width", folder)))
    raise WeightsError(
        f"{folder / 'config.json'} names the unknown vocabulary {kind!r}; train or import the evaluator again"
    )
