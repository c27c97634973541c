"""Reading of the checkpoints that MoMask, BAMM and their evaluator were published with; nothing in them is run."""
