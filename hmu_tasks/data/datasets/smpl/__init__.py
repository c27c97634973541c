"""SMPL, SMPL-H and SMPL-X without a body model: joints from joint rotations."""
