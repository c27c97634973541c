"""Fixtures that the tests of raw folders share."""

from raw_folder import raw

__all__ = ["raw"]
