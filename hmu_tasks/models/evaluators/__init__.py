"""What measures generated motion: the text-motion evaluator and the violence classifier."""
