"""All errors that a user can cause, as a small tree.

HmuError
 ├─ ConfigError     a key or value in params.yaml
 ├─ DataError       a dataset file, clip, caption or id list
 ├─ ContractError   a broken data contract
 └─ WeightsError    a checkpoint or bundle: missing, truncated, wrong keys or shapes

A message says what is wrong, where (file, clip, key) and what to do about it.
"""

import errno
from pathlib import Path

# No space left, quota used up, file larger than the limit that `ulimit -f` sets.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class HmuError(Exception):
    """Root of all errors with a message for the user; the command line prints it without a traceback."""


class ConfigError(HmuError):
    """A key or value of the configuration is unknown or out of range."""


class DataError(HmuError):
    """A dataset file, clip, caption or id list is missing or malformed."""


class ContractError(HmuError):
    """A data contract is broken; the offending clips are named."""


class WeightsError(HmuError):
    """A checkpoint or bundle cannot be used: missing, truncated, or wrong keys or shapes."""


def remedy(error: OSError) -> str | None:
    """Return advice to the user about a system error; None if the bug may be ours."""
    place = error.filename or Path.cwd()
    # numpy reports a full disk without an errno: "263 requested and 0 written".
    if error.errno in _FULL or (error.errno is None and "requested and" in str(error)):
        return (
            f"the disk is full ({place}: {error.strerror or error}); free some space and start the same command "
            "again: finished steps are kept, and training continues from its last checkpoint"
        )
    if error.errno == errno.ENOENT and error.filename and not Path(error.filename).is_absolute():
        return f"{place} is missing; run the steps before this one first (`dvc repro` does)"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"{place}: {error.strerror}; the project's folder must be readable and writable"
    return None
