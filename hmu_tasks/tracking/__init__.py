"""The record of runs in MLflow: the store, runs, pages, and where a run's inputs came from."""
