"""The packed clips that every later step reads, with captions and action labels."""
