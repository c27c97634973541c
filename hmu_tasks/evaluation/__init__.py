"""Evaluation: prompts, cached generation, the evaluators, and the metrics of one model on one split."""
