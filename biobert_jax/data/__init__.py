"""Prepared shards or arrays to host batches, in an order that is a function of (seed, step)."""
