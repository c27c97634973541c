"""What loads a registered version: it checks every file of the model folder against its seal, then lets MLflow go on.

A version carries this file as code/hmu_seal.py. It stands alone, and nothing of the folder is imported before it. The
seal is a signed statement; HMU_TRUSTED_KEYS names the file of keys that may have signed it. Without it contents are
checked and the signer is not.
"""

import base64
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

NAME = "seal.json"
MODULE = "hmu_seal"
LATER = frozenset({NAME, "registered_model_meta"})  # the second is written by MLflow when it downloads
_KIND = "urn:hmu:model:v1"


class SealError(RuntimeError):
    """A model folder that is not what was registered."""


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that the seal covers: path relative to `folder` -> digest."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise SealError(f"{name} is a link; download the version again")
        if path.is_file() and name not in LATER and not _is_own_bytecode(name):
            with path.open("rb") as stream:
                found[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def check(folder: Path) -> None:
    """Compare a model folder with its seal; raises SealError naming the first file that differs."""
    where = f"the model in {folder} is not loaded"
    try:
        envelope = json.loads((folder / NAME).read_text(encoding="utf-8"))
        statement = json.loads(base64.b64decode(envelope["payload"], validate=True))
        sealed = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
        if statement["predicateType"] != _KIND:
            raise SealError(f"{where}: {NAME} is a statement about something else")
    except FileNotFoundError as error:
        raise SealError(f"{where}: it has no {NAME}; register it again") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise SealError(f"{where}: {NAME} cannot be read ({error}); download the version again") from error
    keys = os.environ.get("HMU_TRUSTED_KEYS")
    if keys:
        _check_signer(envelope, Path(keys), where)
    found = digests(folder)
    for name in sorted(found.keys() | sealed.keys()):
        if found.get(name) != sealed.get(name):
            what = "is missing" if name not in found else "was added" if name not in sealed else "was changed"
            raise SealError(f"{where}: {name} {what} after registration; download the version again")


def _check_signer(envelope: Any, keys: Path, where: str) -> None:
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import Error
    from securesystemslib.signer import SSlibKey

    try:
        entries = json.loads(keys.read_text(encoding="utf-8"))
        trusted = [SSlibKey.from_dict(keyid, dict(entry["key"])) for keyid, entry in entries.items()]
        Envelope.from_dict(envelope).verify(trusted, threshold=1)
    except (Error, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SealError(f"{where}: {NAME} is not signed by a key of {keys} ({error})") from error


def _is_own_bytecode(name: str) -> bool:
    """Python writes this file's bytecode before it runs; that of all others is not written, and refused."""
    return name.startswith(f"code/__pycache__/{MODULE}.") and name.endswith(".pyc")


if __name__ == MODULE:
    sys.dont_write_bytecode = True
    check(
        Path(__file__).resolve().parents[1]
    )  # at import: nothing that was put below this line runs unchecked


def _load_pyfunc(path: str, model_config: dict[str, Any] | None = None) -> Any:
    """Check the folder and load the model in it; called by MLflow."""
    check(Path(path))
    from mlflow.pyfunc.loaders import code_model

    return code_model._load_pyfunc(path, model_config)
