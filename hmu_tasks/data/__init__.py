"""Datasets, motion, concepts and the packed clips that every later step reads."""
