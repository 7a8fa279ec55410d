"""Readers of fine-tuning data: one a format, each to the same plain examples; no JAX."""
