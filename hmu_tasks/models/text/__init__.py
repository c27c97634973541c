"""Text encoders and their cached embeddings of texts."""
