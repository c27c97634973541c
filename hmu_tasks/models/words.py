"""Word vectors and part-of-speech vectors, the evaluator's view of a caption."""

import zlib
from collections.abc import Sequence

import numpy as np

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
UNKNOWN = "unk"
MASK = "***"  # a masked word is read as an unknown one, as published


class HashedWords:
    """A fixed random vector per word, drawn from the word's own checksum: any word has one, no vocabulary is needed.

    The embedded benchmark uses it in the place of GloVe, whose files cannot be shipped.
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


def embed_tokens(
    captions: Sequence[Sequence[str]], words: HashedWords, *, max_words: int
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
            vectors[b, t] = words(word)
            classes[b, t, POS_CLASSES.index(tag) if tag in POS_CLASSES else -1] = 1.0
    return vectors, classes, lengths
