"""Stores of MLflow are made quickly."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def copied_stores(quick_stores: None) -> None:
    """Let every test have it."""
