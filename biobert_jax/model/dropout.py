"""Dropout as a pure function of seeds, one a row: the same on any layout of the devices.

Bits come from a hash of (the row's seed, the element's place in its row): a few integer
operations that a compiler fuses into whatever reads the result. So no array of random bits is
ever in memory, the backward pass hashes again instead of keeping a mask, and a row drops the same
elements wherever it is computed: on one device or many, in one batch or in micro-batches. JAX's
default generator takes twenty rounds for the same, and its fast ones give other bits when the
devices are laid out differently.

The hash is the two-multiplication mixer "lowbias32" (Wellons 2018, https://nullprogram.com/blog/
2018/07/31/), with the seed's second word mixed in half way.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

_GOLDEN = np.uint32(0x9E3779B9)
_FIRST_FACTOR = np.uint32(0x7FEB352D).astype(np.int32)
_SECOND_FACTOR = np.uint32(0x846CA68B).astype(np.int32)
_HIGHEST = np.int32(-(2**31))


def row_seeds(key: Array, num_rows: int) -> Array:
    """A seed for every row of the global batch, uint32 [B, 2]."""
    return jax.random.bits(key, (num_rows, 2), jnp.uint32)


def fold_in(seeds: Array, number: int | Array) -> Array:
    """Seeds [B, 2] for use `number` of a row's seed: independent for different numbers."""
    number = jnp.asarray(number).astype(jnp.uint32) + jnp.uint32(1)
    salt = jnp.stack([number * _GOLDEN, number * np.uint32(0x85EBCA77)])
    words = jax.lax.bitcast_convert_type(seeds + salt, jnp.int32)
    half_way = jax.lax.bitcast_convert_type(seeds[:, ::-1], jnp.int32)
    return jax.lax.bitcast_convert_type(_hash(words, half_way), jnp.uint32)


def dropout(x: Array, rate: float, seeds: Array | None) -> Array:
    """Zeroes each element with probability `rate` and scales the others by 1 / (1 - rate).

    Args:
      x: [B, ...], with fewer than 2^32 elements a row.
      seeds: uint32 [B, 2]; None, or a rate of 0, returns `x` itself (evaluation).
    """
    if seeds is None or rate == 0.0:
        return x
    return _dropout(x, seeds, rate)


def keep_elements(index: Array, first: Array, second: Array, rate: float) -> Array:
    """Whether elements are kept, by their place in the row and the two words of the row's seed.

    In signed arithmetic, whose bits are the same: what every kernel compiler knows.

    Args:
      index, first, second: int32 that broadcast together.
    """
    bits = _hash(index + first, second)
    # Flipping the highest bit turns the unsigned comparison into a signed one.
    return (bits ^ _HIGHEST) >= np.int32(round(rate * 2**32) - 2**31)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _dropout(x: Array, seeds: Array, rate: float) -> Array:
    index = jnp.zeros(x.shape[1:], jnp.int32)
    stride = 1
    for axis in reversed(range(x.ndim - 1)):
        place = jax.lax.broadcasted_iota(jnp.int32, x.shape[1:], axis)
        index += place * np.uint32(stride).astype(np.int32)
        stride *= x.shape[axis + 1]
    shape = (-1,) + (1,) * (x.ndim - 1)
    words = jax.lax.bitcast_convert_type(seeds, jnp.int32)
    keep = keep_elements(index, words[:, 0].reshape(shape), words[:, 1].reshape(shape), rate)
    return jnp.where(keep, x * (1.0 / (1.0 - rate)), 0).astype(x.dtype)


def _forward(x, seeds, rate):
    return _dropout(x, seeds, rate), seeds


def _backward(rate, seeds, cotangent):
    # Linear, and its own transpose.
    return _dropout(cotangent, seeds, rate), np.zeros(seeds.shape, jax.dtypes.float0)


_dropout.defvjp(_forward, _backward)


def _hash(x: Array, half_way: Array) -> Array:
    """Int32 bits of int32 bits."""
    x ^= jax.lax.shift_right_logical(x, jnp.full_like(x, 16))
    x *= _FIRST_FACTOR
    x ^= jax.lax.shift_right_logical(x, jnp.full_like(x, 15)) ^ half_way
    x *= _SECOND_FACTOR
    return x ^ jax.lax.shift_right_logical(x, jnp.full_like(x, 16))
