"""Probes: attacks that try to bring a forgotten concept back, and harmless prompts that reveal over-suppression."""
