"""Prefect flows: DVC's graph, walked by Prefect."""
