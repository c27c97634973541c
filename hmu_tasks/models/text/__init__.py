"""Text encoders and their cached sentence vectors."""
