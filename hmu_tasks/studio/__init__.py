"""Prompts to motions for people: models of the run or the registry, motions with scores, files, and the demo page."""
