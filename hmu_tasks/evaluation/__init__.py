"""Evaluation: prompts, cached generation, judging, and the figures of one model on one split."""
