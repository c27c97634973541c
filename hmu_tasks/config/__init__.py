"""Settings: params.yaml as checked models, its sections and presets, and where every file lies."""
