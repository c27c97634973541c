"""Keep secrets out of logs, states and artifacts.

Three nets: values of variables whose names sound secret; the patterns of detect-secrets for keys of known services;
and what its place or its randomness gives away: the password of a URL, the path of a webhook, a random key.
"""

import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, Final

HIDDEN: Final = "***"
_SECRET_NAME: Final = re.compile(
    r"(PASSWORD|PASSWD|SECRET|TOKEN|AUTH|CREDENTIAL|ACCESS_KEY|API_KEY|WEBHOOK)", re.IGNORECASE
)
# From the colon to the last @ before the host: a password may hold an @ and a slash. A port is no password.
_IN_URL: Final = re.compile(
    r"(?<=://)[^\s/@:]*:(?!\d+(?:[/?#\s]|$))\S+(?=@[\w.\[\]-]+(?::\d+)?(?:[/?#\s\"'),;>]|$))"
)
_WEBHOOK: Final = re.compile(
    r"(\bhttps?://(?:(?:[\w.-]*\.)?(?:web)?hooks?\.[^\s/]+(?=/)|[^\s/]+(?=/\S*?(?:webhook|\bhooks?/))))/[^\s\"'<>)]+",
    re.IGNORECASE,
)
# Of a word such as token, and not of tokens or tokenizer.
_ASSIGNED: Final = re.compile(
    r"(?P<name>[\w.-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signature|credentials?)"
    r"(?![a-z])[\w.-]*[\"']?\s*[=:]\s*[\"']?)(?P<value>[^\s\"'&,;]{6,})",
    re.IGNORECASE,
)
_HEADER: Final = re.compile(r"(?P<name>\b(?:Bearer|Basic)\s+)(?P<value>[A-Za-z0-9._~+/=-]{8,})")
_WORD: Final = re.compile(r"[A-Za-z0-9+_=-]{24,}")
_SHORTEST: Final = 6
"""Shorter values are words such as `true`, which would be redacted everywhere."""
_RANDOM: Final = 3.8  # bits per character
_MIXED: Final = (
    0.4  # share of neighbours of different kinds: 0.6 in random keys, 0.3 in names like MaskTransformerV2
)


def redactor(environment: Mapping[str, str] = os.environ) -> Callable[[str], str]:
    """Return a function that replaces secrets in a line by stars; digests, run ids and paths stay."""
    values = set()
    for name, value in environment.items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST:
            values |= {value, *(part for part in value.split(":", 1) if len(part) >= _SHORTEST)}
    # The longest first: a value may contain another.
    patterns = [re.escape(value) for value in sorted(values, key=lambda value: (-len(value), value))]
    secret = re.compile("|".join(patterns)) if patterns else None

    def redact(line: str) -> str:
        clean = secret.sub(HIDDEN, line) if secret else line
        clean = _IN_URL.sub(HIDDEN, clean)
        clean = _WEBHOOK.sub(rf"\1/{HIDDEN}", clean)
        for pattern in (_ASSIGNED, _HEADER):
            clean = pattern.sub(lambda found: found["name"] + HIDDEN, clean)
        for detector in _detectors():
            for found in set(detector.analyze_string(clean)):
                clean = clean.replace(found, HIDDEN) if len(found) >= _SHORTEST else clean
        return _WORD.sub(lambda found: HIDDEN if _is_random(found[0]) else found[0], clean)

    return redact


@cache
def _detectors() -> tuple[Any, ...]:
    """Patterns of keys of known services, which have a form of their own."""
    from detect_secrets.plugins import (
        aws,
        azure_storage_key,
        basic_auth,
        discord,
        github_token,
        gitlab_token,
        jwt,
        npm,
        openai,
        pypi_token,
        sendgrid,
        slack,
        square_oauth,
        stripe,
        telegram_token,
        twilio,
    )

    return (
        aws.AWSKeyDetector(),
        azure_storage_key.AzureStorageKeyDetector(),
        basic_auth.BasicAuthDetector(),
        discord.DiscordBotTokenDetector(),
        github_token.GitHubTokenDetector(),
        gitlab_token.GitLabTokenDetector(),
        jwt.JwtTokenDetector(),
        npm.NpmDetector(),
        openai.OpenAIDetector(),
        pypi_token.PypiTokenDetector(),
        sendgrid.SendGridDetector(),
        slack.SlackDetector(),
        square_oauth.SquareOAuthDetector(),
        stripe.StripeDetector(),
        telegram_token.TelegramBotTokenDetector(),
        twilio.TwilioKeyDetector(),
    )


@cache
def _entropy() -> Callable[[str], float]:
    from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString

    found: Callable[[str], float] = Base64HighEntropyString().calculate_shannon_entropy
    return found


def _is_random(word: str) -> bool:
    """Whether a word is a random key: three kinds of characters that change often; a digest has two."""
    kinds = [_kind(letter) for letter in word]
    changes = sum(one != other for one, other in pairwise(kinds)) / len(word)
    return {"a", "A", "0"} <= set(kinds) and changes >= _MIXED and _entropy()(word) >= _RANDOM


def _kind(letter: str) -> str:
    return "0" if letter.isdigit() else "a" if letter.islower() else "A" if letter.isupper() else "-"
