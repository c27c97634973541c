"""Keys: the private one that signs here, made on first use, and the public ones that this checkout trusts."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.runtime.files import write_json

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, SSlibKey

KEY_VARIABLE = "HMU_SIGNING_KEY"
"""Environment variable with the file of the private key; without it ~/.config/hmu/signing-key.pem."""
TRUSTED_VARIABLE = "HMU_TRUSTED_KEYS"
"""Environment variable with the file of trusted public keys; without it trusted-keys.json of the checkout."""
TRUSTED = "trusted-keys.json"


def key_file() -> Path:
    """Place of the private key."""
    given = os.environ.get(KEY_VARIABLE)
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "hmu" / "signing-key.pem"


def trusted_file(root: Path) -> Path:
    """Place of the list of trusted public keys."""
    given = os.environ.get(TRUSTED_VARIABLE)
    return Path(given) if given else root / TRUSTED


def trusted(root: Path) -> "list[SSlibKey]":
    """Read the public keys that this checkout trusts; raises HmuError where there are none."""
    from securesystemslib.signer import SSlibKey

    file = trusted_file(root)
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        found = [SSlibKey.from_dict(keyid, dict(entry["key"])) for keyid, entry in entries.items()]
        wrong = [key.keyid for key in found if key.scheme != "ed25519" or key.keyid != _id_of(key)]
    except FileNotFoundError as error:
        raise HmuError(
            f"{file} is missing, so that no signature can be trusted; get it from those who register and promote (the "
            "first of them gets it by `python -m hmu_tasks register`)"
        ) from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise HmuError(f"{file} is not a list of public keys ({error}); restore it with git") from error
    if wrong:
        raise HmuError(f"{file}: key {wrong[0]} is not an Ed25519 key under its own id; restore it with git")
    return found


def signing_key(root: Path) -> "CryptoSigner":
    """Return the private key that signs here; makes it, and trusts it in a checkout that trusts nobody, on first use.

    Raises HmuError for a key that others can read, that is no Ed25519 key, or that this checkout does not trust.
    """
    file = key_file()
    if not file.exists():
        _make(file)
    signer = _load(file)
    keys = trusted_file(root)
    if not keys.exists():
        write_json(keys, entry(signer))
        sys.stderr.write(
            f"signatures of {file} (key {signer.public_key.keyid[:12]}) are trusted in {keys.name} of this checkout "
            "from now on; commit that file, so that others trust them too\n"
        )
    if signer.public_key.keyid not in {key.keyid for key in trusted(root)}:
        raise HmuError(
            f"the key {file} is not trusted by {keys}; have this entry added by somebody who is, with a commit: "
            f"{json.dumps(entry(signer), sort_keys=True)}"
        )
    return signer


def entry(signer: "CryptoSigner") -> dict[str, Any]:
    """The public key as an entry of the list of trusted keys."""
    from hmu_tasks.registry.identity import account

    public = signer.public_key
    return {public.keyid: {"owner": account().name, "key": public.to_dict()}}


def _make(file: Path) -> None:
    """Write a new key that only its owner can read; of several processes at once the first one's stays."""
    from securesystemslib.signer import CryptoSigner

    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(CryptoSigner.generate_ed25519().private_bytes)
        try:
            file.hardlink_to(temporary)
        except FileExistsError:
            return
    finally:
        temporary.unlink()
    sys.stderr.write(f"made a key for signatures: {file}\n")


def _load(file: Path) -> "CryptoSigner":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    try:
        if file.stat().st_mode & 0o077:
            raise HmuError(f"others can read the key {file}; run `chmod 600 {file}`")
        private = load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise HmuError(
            f"the key {file} cannot be read ({error}); set {KEY_VARIABLE} to the file of an Ed25519 key in PEM without "
            "a password, or move it away and a new one is made"
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise HmuError(f"the key {file} is not an Ed25519 key; set {KEY_VARIABLE} to one")
    return CryptoSigner(private)


def _id_of(key: "SSlibKey") -> str:
    """The id that a public key has by its content, so that an entry cannot be under another's name."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from securesystemslib.signer import SSlibKey

    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"]))
    return str(SSlibKey.from_crypto(public).keyid)
