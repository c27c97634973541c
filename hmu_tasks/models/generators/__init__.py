"""Generators of codes: the abstract text-to-motion model, the models, their transformers, and bundles on disk."""
