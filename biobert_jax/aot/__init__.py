"""Ahead-of-time compilation of the training step for TPUs that are not there."""
