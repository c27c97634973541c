"""Keep secrets out of logs, states and artifacts."""

import os
import re
from collections.abc import Callable, Mapping

_SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|AUTH|CREDENTIAL|ACCESS_KEY|API_KEY)", re.IGNORECASE)
_IN_URL = re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)")
_SHORTEST = 6
"""Shorter values are words such as `true`, which would be redacted everywhere."""


def redactor(environment: Mapping[str, str] = os.environ) -> Callable[[str], str]:
    """Return a function that replaces the values of secret-sounding variables, and passwords in URLs, by stars."""
    values = set()
    for name, value in environment.items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST:
            values |= {value, *(part for part in value.split(":", 1) if len(part) >= _SHORTEST)}
    # The longest first: a value may contain another.
    patterns = [re.escape(value) for value in sorted(values, key=lambda value: (-len(value), value))]
    secret = re.compile("|".join(patterns)) if patterns else None

    def redact(line: str) -> str:
        clean = _IN_URL.sub("***", line)
        return secret.sub("***", clean) if secret else clean

    return redact
