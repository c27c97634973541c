"""Promotion: the evidence of a version, the gate that evaluators it, its model card, and the moves of aliases."""
