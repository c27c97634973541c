"""What methods share: closed-form edits, tuning, code usage, costs, and the record of changed tensors."""
