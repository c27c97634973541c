"""The division of clips into a forget and a retain set."""
