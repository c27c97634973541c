"""Sections of params.yaml as frozen pydantic models; hmu_tasks/params.py reads the file and puts them together."""
