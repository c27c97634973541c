"""The motion tokenizer: a residual vector-quantized autoencoder."""
