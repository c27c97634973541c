"""The evaluators of generated motion: the text-motion evaluator and the violence classifier."""
