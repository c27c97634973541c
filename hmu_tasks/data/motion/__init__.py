"""Motion representations: layout of features, skeletons, rotations, features from joints and back."""
