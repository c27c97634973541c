"""Networks and models: tokenizer, transformers, evaluator, text encoders; storage of weights."""
