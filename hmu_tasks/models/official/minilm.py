"""all-MiniLM-L6-v2 from its makers' folder: checked, and put into a component with its licence."""

from importlib.resources import files
from pathlib import Path

from hmu_tasks.models.networks.components import link_file
from hmu_tasks.models.text.minilm import (
    LICENCE,
    SIZES,
    VOCABULARY,
    WEIGHTS,
    SentenceEncoder,
    check_digest,
    read_sentence_encoder,
)
from hmu_tasks.runtime.bundle_files import check_part
from hmu_tasks.runtime.errors import WeightsError
from hmu_tasks.runtime.foreign import SETTINGS, read_text

PUBLISHED = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of model.safetensors of sentence-transformers/all-MiniLM-L6-v2, whose licence is Apache 2.0."""
KEY = "train.text.minilm_sha256"
NAMES = {"model.safetensors": WEIGHTS, "config.json": SIZES, "vocab.txt": VOCABULARY}
_NOTICE = (
    f"{WEIGHTS} is model.safetensors of sentence-transformers/all-MiniLM-L6-v2, unchanged; {SIZES} and\n"
    f"{VOCABULARY} are the config.json and vocab.txt that lay beside it. Their licence:\n\n"
)


def import_minilm(folder: Path, sha256: str, target: Path) -> SentenceEncoder:
    """Put a sentence encoder into the component folder `target`, and read it.

    folder: in transformers' layout; nothing is downloaded. sha256: that its weights must have. Raises WeightsError
    naming the file that is missing, or cannot be used; a pickle is never read.
    """
    lost = [name for name in NAMES if not (folder / name).is_file()]
    if lost:
        pickled = sorted(path.name for path in folder.glob("*.bin")) if lost == ["model.safetensors"] else []
        why = f"; {pickled[0]} is a pickle, which is not read" if pickled else ""
        raise WeightsError(
            f"{folder} lacks {' and '.join(lost)}{why}; put {', '.join(NAMES)} of "
            "sentence-transformers/all-MiniLM-L6-v2 there once (train.text.minilm_folder), or set train.text.encoder "
            "to 'small'"
        )
    weights, sizes, vocabulary = (folder / name for name in NAMES)
    check_digest(weights, sha256, KEY)
    check_part(folder)  # before anything is built that is as large as config.json says
    encoder = read_sentence_encoder(weights, sizes, vocabulary, sha256=sha256, key=KEY)
    licence = _licence(folder, sha256)
    target.mkdir(parents=True, exist_ok=True)
    for name, stored in NAMES.items():
        link_file(folder / name, target / stored)
    (target / LICENCE).write_text(licence, encoding="utf-8")
    return encoder


def _licence(folder: Path, sha256: str) -> str:
    """Licence that goes with the files: the published model's is known, any other one's lies beside it."""
    if sha256 == PUBLISHED:
        return _NOTICE + (files(__package__) / "apache-2.0.txt").read_text(encoding="utf-8")
    own = folder / "LICENSE"
    if not own.is_file():
        raise WeightsError(
            f"{own} is missing: {KEY} names another model than all-MiniLM-L6-v2, and a bundle carries the licence of "
            "what is in it; put its text there"
        )
    try:
        return read_text(own, limit=SETTINGS)
    except UnicodeDecodeError as error:
        raise WeightsError(f"{own} is not UTF-8 text ({error}); save it as UTF-8") from error
