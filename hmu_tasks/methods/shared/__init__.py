"""What methods share: closed-form edits, tuning, code usage, costs, and the proof of what changed."""
