"""Scores equal to those of each task's official script. Imports neither JAX nor the model."""
