"""Sections of params.yaml as frozen pydantic models; config/params.py reads the file and puts them together."""
