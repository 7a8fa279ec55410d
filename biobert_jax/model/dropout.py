"""Dropout as a pure function of its key."""

import jax
import jax.numpy as jnp
from jax import Array


def dropout(x: Array, rate: float, key: Array | None) -> Array:
    """Zeroes each element with probability `rate` and scales the others by 1 / (1 - rate).

    `key` None, or a rate of 0, returns `x` itself (evaluation).
    """
    if key is None or rate == 0.0:
        return x
    # 16 random bits an element are enough for a rate and a quarter of the work of a float32
    # uniform; the rate is rounded to 1 / 65536.
    threshold = round((1.0 - rate) * 65536)
    keep = jax.random.bits(key, x.shape, jnp.uint16) < threshold
    return jnp.where(keep, x * (65536 / threshold), 0).astype(x.dtype)
