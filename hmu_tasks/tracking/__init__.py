"""Runs in MLflow, written from files: the store, the mirror, live curves, and where a run's inputs came from."""
