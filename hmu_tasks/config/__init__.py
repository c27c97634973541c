"""Configuration: params.yaml as validated models, its sections and presets, and all file locations."""
