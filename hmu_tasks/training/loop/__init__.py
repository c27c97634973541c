"""Shared parts of all trainers: the training loop, batches, codes, and the job with its inputs."""
