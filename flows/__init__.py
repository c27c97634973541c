"""Prefect flows: the pipeline of dvc.yaml, and promotion."""
