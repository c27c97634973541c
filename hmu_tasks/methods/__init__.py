"""Unlearning methods: each takes a model and knobs, and returns a new model with what changed."""
