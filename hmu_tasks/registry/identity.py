"""Who acts: the account that a server or the operating system vouches for, and a name that somebody typed."""

import os
import pwd
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hmu_tasks.runtime.errors import HmuError

LONGEST_NAME = 200  # characters
Source = Literal["MLflow server", "operating system", "typed"]


@dataclass(frozen=True)
class Person:
    """A name, what vouches for it, and, for a typed name, the account that it was typed under."""

    name: str
    source: Source
    account: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.vouched})" if self.source == "typed" else self.name

    @property
    def vouched(self) -> str:
        """What vouches for the name, in words."""
        return f"typed by {self.account or 'somebody on a page'}" if self.source == "typed" else self.source

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def same_as(self, other: "Person") -> bool:
        """Whether the two may be one: the same name, or the same account where one vouches for both."""
        mine, theirs = ({one.name.casefold()} | ({one.account.casefold()} - {""}) for one in (self, other))
        return bool(mine & theirs)


def account() -> Person:
    """The account of this process: the MLflow server's user where it has one, else the operating system's."""
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{part}") for part in ("USERNAME", "PASSWORD"))
    if user and password and os.environ.get("MLFLOW_TRACKING_URI", "").startswith("http"):
        return Person(user, "MLflow server")
    try:
        return Person(pwd.getpwuid(os.getuid()).pw_name, "operating system")
    except KeyError:
        return Person(f"uid-{os.getuid()}", "operating system")


def person(typed: str | None) -> Person:
    """The person who acts: the account, or a typed name, which is marked as such; HmuError for one that is empty."""
    here = account()
    if typed is None or typed.strip() == here.name:
        return here
    name = typed.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise HmuError(f"a name has 1 to {LONGEST_NAME} printable characters; {name[:40]!r} is not one")
    return Person(name, "typed", here.name)


def approver(typed: str) -> Person:
    """The person who approves on a page without accounts: a typed name, under nobody's account."""
    name = typed.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise HmuError(f"a name has 1 to {LONGEST_NAME} printable characters; {name[:40]!r} is not one")
    return Person(name, "typed")
