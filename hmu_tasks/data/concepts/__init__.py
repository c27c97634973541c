"""Concepts as data, and the rules that find them in captions."""
