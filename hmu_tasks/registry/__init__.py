"""Promotion: the evidence of a version, the gate that judges it, its model card, and the moves of aliases."""
