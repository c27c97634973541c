"""What every trainer stands on: the training loop, batches, codes, and the job with its inputs."""
