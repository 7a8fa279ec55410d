"""Annotated documents: one form of them, and a reader a file format; no JAX."""
