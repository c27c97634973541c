"""Concepts as data, and the rules that match them in captions."""
