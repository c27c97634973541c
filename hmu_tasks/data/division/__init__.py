"""Divide clips into a forget and a retain set, and describe the division."""
