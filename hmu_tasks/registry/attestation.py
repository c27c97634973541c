"""Signed statements: in-toto statements in DSSE envelopes, signed with Ed25519.

Formats: in-toto attestation framework, Statement v1; Dead Simple Signing Envelope, protocol 1.0.2.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from hmu_tasks.runtime.errors import HmuError

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, SSlibKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
Kind = Literal["registration", "move", "model"]


class SignatureError(HmuError):
    """A statement that nobody who is trusted has signed."""


@dataclass(frozen=True)
class Attested:
    """What a signed statement says: subject name -> SHA-256, the predicate, and the key that signed it."""

    subject: Mapping[str, str]
    predicate: Mapping[str, Any]
    keyid: str


def sign(
    kind: Kind, subject: Mapping[str, str], predicate: Mapping[str, Any], signer: "CryptoSigner | None"
) -> str:
    """Write a signed statement as one line of JSON; without a signer nobody vouches for it."""
    from securesystemslib.dsse import Envelope

    statement = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": subject[name]}} for name in sorted(subject)],
        "predicateType": _type_of(kind),
        "predicate": dict(predicate),
    }
    payload = json.dumps(statement, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    if signer is not None:
        envelope.sign(signer)
    return json.dumps(envelope.to_dict(), sort_keys=True)


def opened(text: str, kind: Kind, keys: "Sequence[SSlibKey]") -> Attested:
    """Check the signature of a statement of one kind and read it.

    Raises SignatureError where it is not a signed statement of this kind, or none of the keys has signed it.
    """
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import Error

    try:
        envelope = Envelope.from_dict(json.loads(text))
    except (Error, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise SignatureError("is not signed") from error
    try:
        signers = envelope.verify(list(keys), threshold=1)
    except (Error, ValueError) as error:
        named = ", ".join(keyid[:12] for keyid in envelope.signatures) or "nobody"
        raise SignatureError(f"is not signed by a trusted key (signed by {named})") from error
    try:
        statement = json.loads(envelope.payload)
        if (envelope.payload_type, statement["_type"], statement["predicateType"]) != (
            PAYLOAD_TYPE,
            STATEMENT,
            _type_of(kind),
        ):
            raise SignatureError(f"is a signed statement of another kind than {kind}")
        subject = {str(one["name"]): str(one["digest"]["sha256"]) for one in statement["subject"]}
        return Attested(subject, dict(statement["predicate"]), next(iter(signers)))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise SignatureError(f"cannot be read: {error}") from error


def sha256(text: str) -> str:
    """Digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _type_of(kind: Kind) -> str:
    return f"urn:hmu:{kind}:v1"
