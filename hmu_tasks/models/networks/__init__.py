"""What networks share: layers, devices, batching by length, storage of weights."""
