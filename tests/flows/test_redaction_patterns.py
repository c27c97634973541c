"""What is logged holds no secret, and digests, run ids and paths stay readable."""

import base64
import hashlib
import random
import string
import uuid

import pytest

from flows.engine.redaction import HIDDEN, redactor

REDACT = redactor({})
RANDOM = random.Random(7)  # noqa: S311 - nothing to keep secret


def key(length: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(RANDOM.choices(letters, k=length))


SECRETS = {
    "a password with an @": ("cloning https://me:p@ss@w0rd@git.example.org/a.git", "p@ss@w0rd"),
    "a password with a slash": ("postgresql+psycopg2://hmu:a/b@c@postgres:5432/mlflow is slow", "a/b@c"),
    "a password before a port": ("redis://:hunter22@cache:6379/0", "hunter22"),
    "a Slack webhook": ("POST https://hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/" + key(24), "T0AAAAAAA/B0AAAAAAA"),
    "a Discord webhook": ("https://discord.com/api/webhooks/1234567/" + key(68), "1234567"),
    "a webhook of one's own": ("notify https://hooks.example.org/abc-def/1 failed", "abc-def"),
    "a Teams webhook": ("https://me.webhook.office.com/webhookb2/11-22@33/IncomingWebhook/44/55", "11-22"),
    "a Mattermost webhook": ("https://chat.example.org/hooks/xyz987xyz987", "xyz987xyz987"),
    "a GitHub token": ("remote: ghp_" + key(36), "ghp_"),
    "an AWS key": ("using AKIA" + key(16, string.ascii_uppercase + string.digits), "AKIA"),
    "a Slack token": ("xoxb-123456789012-123456789012-" + key(24), "xoxb-123456789012"),
    "a JWT": (f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{key(43)}", "eyJzdWIi"),
    "a bearer": ("Authorization: Bearer abc.def-ghi123", "abc.def-ghi123"),
    "a query": ("GET /a?x=1&X-Amz-Signature=deadbeefdeadbeef&y=2", "deadbeefdeadbeef"),
    "a hexadecimal key with a name": ("api_key=" + "0123456789abcdef" * 2, "0123456789abcdef"),
    "a JSON value": ('{"client_secret": "swordfish1"}', "swordfish1"),
}  # fmt: skip


@pytest.mark.parametrize("what", SECRETS)
def test_secrets_are_hidden(what: str) -> None:
    line, secret = SECRETS[what]
    assert secret in line
    clean = REDACT(line)
    assert secret not in clean
    assert HIDDEN in clean


def test_random_keys_are_hidden_by_their_entropy() -> None:
    keys = [key(length) for length in (32, 40, 64) for _ in range(100)]
    keys += [base64.urlsafe_b64encode(RANDOM.randbytes(30)).decode() for _ in range(100)]
    seen = [one for one in keys if one in REDACT(f"loaded {one} from the vault")]
    assert len(seen) <= 0.02 * len(keys)


def test_digests_ids_and_paths_stay() -> None:
    digests = [
        hashlib.new(name, bytes([n])).hexdigest() for n in range(200) for name in ("md5", "sha1", "sha256")
    ]
    ids = [str(uuid.UUID(int=RANDOM.getrandbits(128))) for _ in range(200)]
    lines = [f"bundle {one} verified" for one in digests] + [f"flow run {one} is late" for one in ids]
    lines += [f"runs/unlearn/momask/lcr/{one[:12]}/bundle.json: {one}.dir" for one in digests]
    lines += [
        "train-base@momask-retrain-0: 100%|████| 2000/2000 [02:10<00:00, 15.32it/s, loss=1.93]",
        "hmu_tasks/data/datasets/synthetic/wordings/gestures.py:256: DeprecationWarning",
        "MaskTransformerConfig ResidualTransformerConfigV2 CLIPTextModelWithProjection",
        "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl",
        "PREFECT_API_URL is http://127.0.0.1:4200/api and MLflow http://localhost:5000/#/experiments/1",
        "http://example.org:8080/people/me@example.org",
        "git@github.com:owner/name.git and s3://bucket/hmu/files/md5/ab/cdef0123456789",
        "tokenizer: runs/train/0/tokenizer-full and tokens=1234567 of secretary: 1234567",
        "tokens: 12 of 49; token_share 0.99; code tokens per second: 1503",
        "2026-11-27T10:51:02.123456Z forget/violence_corrected=0.21 retain/r1=0.787",
        "version 12 of hmu-momask-synthetic-violence is the champion",
        "worker 0b7c2f1e-3a4d-4d7e-9a50-1f6f3f6d2f11 polls the pool gpu",
    ]
    changed = [(line, REDACT(line)) for line in lines if REDACT(line) != line]
    assert changed == []
