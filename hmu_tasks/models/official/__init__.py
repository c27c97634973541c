"""Readers of the published checkpoints of MoMask, BAMM and their evaluator; none of their code is run."""
