"""The training engine: optimizer, sharding, step, loop, metrics; and pre-training on top of it."""
