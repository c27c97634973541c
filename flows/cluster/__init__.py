"""Stages and runs beyond this checkout: work pools, the DVC remote, worktrees. The engine does not depend on it."""
