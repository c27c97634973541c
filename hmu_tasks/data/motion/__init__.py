"""Motion representations: feature layout, skeletons, rotations, conversion between joints and features."""
