"""What our Pallas kernels share."""

import jax
import jax.numpy as jnp
from jax import Array


def dot(a: Array, b: Array, axis_a: int, axis_b: int) -> Array:
    """The float32 product of two matrices, summed over an axis of each."""
    return jax.lax.dot_general(
        a, b, (((axis_a,), (axis_b,)), ((), ())), preferred_element_type=jnp.float32
    )
