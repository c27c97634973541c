"""What clusters and containers leave out or set in the environment, put right before any library reads it."""

import os
import pwd
import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def prepare(environment: MutableMapping[str, str] = os.environ) -> None:
    """Complete the environment of this process, which its children inherit; what is set and usable stays.

    What listens on this machine is never asked through a proxy. A user id without a name, as containers have, gets
    one, and a process without a home folder that it can write gets a temporary one: DVC, MLflow and matplotlib ask for
    both.
    """
    if any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in environment):
        for name in ("no_proxy", "NO_PROXY"):
            given = [part.strip() for part in environment.get(name, "").split(",") if part.strip()]
            if "*" not in given:
                environment[name] = ",".join([*given, *(host for host in LOOPBACK if host not in given)])
    if not _has_name(os.getuid()):
        for name in ("LOGNAME", "USER"):
            environment.setdefault(name, f"uid-{os.getuid()}")
    home = environment.get("HOME", "")
    if not home or not os.access(home, os.W_OK | os.X_OK):
        place = Path(tempfile.gettempdir()) / f"hmu-home-{os.getuid()}"
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if place.stat().st_uid == os.getuid() and not place.is_symlink():
            environment["HOME"] = str(place)


def _has_name(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True
