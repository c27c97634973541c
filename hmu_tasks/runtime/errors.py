"""All errors that a user can cause, as a small tree.

HmuError
 ├─ ConfigError     a key or value in params.yaml
 ├─ DataError       a dataset file, clip, caption or id list
 ├─ ContractError   a broken data contract
 └─ WeightsError    a checkpoint or bundle: missing, truncated, wrong keys or shapes

A message says what is wrong, where (file, clip, key) and what to do about it.
"""


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
