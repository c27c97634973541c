"""Probes: attacks that try to bring a forgotten concept back, and prompts that show what was suppressed beside it."""
