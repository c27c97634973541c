"""A frozen sentence encoder, all-MiniLM-L6-v2, and the principal directions of its vectors that the models read.

Wang et al. 2020, "MiniLM" (arXiv 2002.10957); Reimers and Gurevych 2019, "Sentence-BERT" (arXiv 1908.10084), section 3:
a sentence's vector is the mean of its word pieces' last hidden states. A BERT of any other size is read alike.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.nn import functional

from hmu_tasks.models.networks.layers import seeded
from hmu_tasks.models.networks.memory import Batches
from hmu_tasks.models.networks.weights import load_strict
from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.files import read_object, replacing
from hmu_tasks.runtime.foreign import ANY, SETTINGS, open_file, read_text
from hmu_tasks.runtime.tensor_files import read_tensors

WEIGHTS, SIZES, VOCABULARY = "minilm.safetensors", "minilm.json", "minilm-vocab.txt"
LICENCE = "minilm-licence.txt"
PRINCIPAL = "principal.safetensors"
LENGTH = 10.0
"""Length of the vectors that the models read, about that of CLIP's and of the small encoder's whitened ones."""
MOST_PIECES = 256
"""Word pieces of a text that are read, with the two special ones; what the model's card says."""
_BATCH = 64
_NUMBERS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
)
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_UNUSED = ("embeddings.position_ids", "pooler.")
_REMEDY = "get the files of sentence-transformers/all-MiniLM-L6-v2 again, or make the component `text` again"


class SentenceEncoder(nn.Module):
    """A BERT whose last hidden states are averaged over the word pieces of a text.

    vocabulary: the pieces of an uncased WordPiece tokenizer, by number.
    """

    def __init__(self, sizes: Any, vocabulary: Sequence[str]) -> None:
        from transformers import BertModel, BertTokenizer

        super().__init__()
        with seeded(0):
            self.bert = BertModel(sizes, add_pooling_layer=False)
        self.tokenizer = BertTokenizer(vocab={piece: i for i, piece in enumerate(vocabulary)})
        self.width = int(sizes.hidden_size)
        self.pieces = min(MOST_PIECES, int(sizes.max_position_embeddings))

    @torch.no_grad()
    def vectors(self, texts: Sequence[str]) -> Tensor:
        """Return the sentence vectors [B, width] of texts, without gradients or dropout."""
        assert not self.training
        device = self.bert.embeddings.word_embeddings.weight.device

        def embedded(chosen: Sequence[int]) -> Tensor:
            tokens = self.tokenizer(
                [texts[i] for i in chosen],
                padding=True,
                truncation=True,
                max_length=self.pieces,
                return_tensors="pt",
            ).to(device)
            states = self.bert(**tokens).last_hidden_state
            mask = tokens["attention_mask"][..., None].to(states.dtype)
            mean: Tensor = (states * mask).sum(dim=1) / mask.sum(dim=1)
            return mean

        batches = Batches(_BATCH, what="texts").over(range(len(texts)), embedded)
        return torch.cat([found for _, found in batches])


class PrincipalDirections(nn.Module):
    """The leading principal directions of sentence vectors, whitened, every vector scaled to LENGTH.

    mean: [W]; directions: [n, W] unit vectors, that of the largest variance first; scale: [n], one over the standard
    deviation along each.
    """

    mean: Tensor
    directions: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, directions: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("directions", directions)
        self.register_buffer("scale", scale)

    @classmethod
    def of(cls, vectors: Tensor, count: int) -> Self:
        """Find `count` directions of vectors [N, W]; raises ValueError where they span fewer."""
        values = vectors.double()
        mean = values.mean(dim=0)
        variance, directions = torch.linalg.eigh((values - mean).T @ (values - mean) / len(values))
        spanned = int((variance > 1e-10 * variance[-1].clamp(min=1e-10)).sum())
        if count > spanned:
            raise ValueError(f"{len(vectors)} sentence vectors span {spanned} directions, fewer than {count}")
        variance, directions = variance.flip(0)[:count], directions.T.flip(0)[:count]
        largest = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
        # Either sign is an eigenvector; which one is found depends on the library.
        return cls(mean.float(), (directions * largest.sign()).float(), variance.rsqrt().float())

    def forward(self, vectors: Tensor) -> Tensor:
        """Whiten sentence vectors: [B, W] -> [B, n]."""
        whitened = (vectors - self.mean) @ self.directions.T * self.scale
        return LENGTH * functional.normalize(whitened, dim=-1)

    def save(self, folder: Path) -> None:
        """Write the statistics into `folder`; same input, same bytes."""
        tensors = {name: tensor.cpu().contiguous() for name, tensor in sorted(self.state_dict().items())}
        with replacing(folder / PRINCIPAL) as temporary:
            temporary.write_bytes(to_bytes(tensors))

    @classmethod
    def load(cls, folder: Path, width: int) -> Self:
        """Read the statistics of vectors [B, width]; raises WeightsError where the file is missing or another one."""
        path = folder / PRINCIPAL
        found = _tensors(path)
        shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
        count = len(found.get("scale", ()))
        if not count or shapes != {"mean": (width,), "directions": (count, width), "scale": (count,)}:
            raise WeightsError(
                f"{path} must hold mean [{width}], directions [n, {width}] and scale [n]; make the component `text` "
                "again"
            )
        return cls(found["mean"], found["directions"], found["scale"])


def read_sentence_encoder(
    weights: Path, sizes: Path, vocabulary: Path, *, sha256: str, key: str
) -> SentenceEncoder:
    """Read the frozen encoder from its three files.

    sha256: the digest that the weights must have; key: what names it in an error. Raises WeightsError naming the file
    that is missing, damaged or another one.
    """
    check_digest(weights, sha256, key)
    config = _sizes(sizes)
    pieces = _pieces(vocabulary)
    if len(pieces) != config.vocab_size:
        raise WeightsError(
            f"{vocabulary} has {len(pieces)} pieces, but {sizes} says {config.vocab_size}; {_REMEDY}"
        )
    # The positions' numbers are no weights, and the pooler reads the first state alone, which no one reads here.
    state = {name: tensor for name, tensor in _tensors(weights).items() if not name.startswith(_UNUSED)}
    try:
        encoder = SentenceEncoder(config, pieces)
        load_strict(encoder.bert, state, allow_missing_prefix="")
    except (ValueError, LookupError, ArithmeticError, AssertionError, RuntimeError, WeightsError) as error:
        reason = str(error) or type(error).__name__
        raise WeightsError(f"{weights} does not fit {sizes} ({reason}); {_REMEDY}") from error
    encoder.eval()
    encoder.requires_grad_(False)
    return encoder


def check_digest(weights: Path, sha256: str, key: str) -> None:
    """Raise WeightsError unless the file has this SHA-256; key: what names the digest."""
    try:
        with open_file(weights, limit=ANY) as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{weights} cannot be read ({error.strerror}); {_REMEDY}") from error
    if found != sha256:
        raise WeightsError(
            f"{weights} has the SHA-256 {found}, not {sha256} as {key} says: it is damaged or another model; "
            f"{_REMEDY}; set {key} only for a model that you trust"
        )


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return read_tensors(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); {_REMEDY}") from error


def _sizes(path: Path) -> Any:
    """Read the sizes of a BERT from its makers' config.json."""
    from transformers import BertConfig

    try:
        values = read_object(path, "model_type", "hidden_act", "layer_norm_eps", *_NUMBERS)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); {_REMEDY}") from error
    wrong = [name for name in _NUMBERS if type(values[name]) is not int or values[name] < 1]
    wrong += [name for name, one in (("model_type", "bert"), ("hidden_act", "gelu")) if values[name] != one]
    if type(values["layer_norm_eps"]) is not float or not 0 < values["layer_norm_eps"] < 1:
        wrong.append("layer_norm_eps")
    if values.get("position_embedding_type", "absolute") != "absolute":
        wrong.append("position_embedding_type")
    if wrong:
        raise WeightsError(
            f"{path}: {wrong[0]} is {str(values[wrong[0]])[:40]!r}, not that of a BERT as it is read here; {_REMEDY}"
        )
    return BertConfig(
        **{name: values[name] for name in _NUMBERS},
        hidden_act="gelu",
        layer_norm_eps=values["layer_norm_eps"],
    )


def _pieces(path: Path) -> list[str]:
    """Read the pieces of vocab.txt, one a line."""
    try:
        pieces = read_text(path, limit=SETTINGS).removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); {_REMEDY}") from error
    lost = [piece for piece in _SPECIAL if piece not in pieces]
    if lost or len(set(pieces)) != len(pieces):
        fault = f"lacks {lost[0]}" if lost else "has a piece twice"
        raise WeightsError(f"{path} is no WordPiece vocabulary: it {fault}; {_REMEDY}")
    return pieces
