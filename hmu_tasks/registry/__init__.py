"""Promotion: the evidence of a version, the gate that checks it, its model card, and the moves of aliases."""
