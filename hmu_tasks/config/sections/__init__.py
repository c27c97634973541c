"""Sections of params.yaml as frozen pydantic models, assembled by config/params.py."""
