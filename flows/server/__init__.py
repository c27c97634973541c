"""The lasting Prefect server, its deployments, workers and automations."""
