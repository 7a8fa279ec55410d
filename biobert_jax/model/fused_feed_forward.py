"""The feed-forward pair of a layer in one Pallas kernel (TPU), forward and backward.

Its inner activations are four times as wide as a layer's. Left to XLA they are written and read
eight times a step; here twice: the first product is kept for the backward pass, and what follows
from it never leaves the chip. Both kernels stay on the chip while the tokens pass by, and so do
the sums of their gradients, in float32.

For v5e and v6e: a v4's 16 MiB of vector memory do not hold it, and of a v5p's two cores the
backward pass would leave one idle. They are not short of bandwidth either.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from biobert_jax.model.layers import gelu_by_erf
from biobert_jax.model.pallas import dot

# Tokens at a time, and columns of the inner activations at a time, the first that divide.
ROWS = (512, 256, 128)
_COLUMNS = (768, 512, 384, 256, 128)
_VMEM_BYTES = 100 * 2**20


# Of float32, by `config.hidden_act`.
_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": gelu_by_erf,
    "gelu_tanh": functools.partial(jax.nn.gelu, approximate=True),
    "relu": lambda x: jnp.maximum(x, 0.0),
}


@functools.partial(jax.custom_vjp, nondiff_argnums=(5, 6))
def fused_feed_forward(
    x: Array,
    wide_kernel: Array,
    wide_bias: Array,
    narrow_kernel: Array,
    narrow_bias: Array,
    activation: str,
    interpret: bool,
) -> Array:
    """activation(x @ wide_kernel + wide_bias) @ narrow_kernel + narrow_bias.

    Args:
      x: [N, H], N a multiple of 128; all inputs are of its type.
      wide_kernel: [H, I]; H and I multiples of 128.
      wide_bias: [I].
      narrow_kernel: [I, H].
      narrow_bias: [H].

    Returns:
      [N, H], in the type of `x`.
    """
    inputs = x, wide_kernel, wide_bias, narrow_kernel, narrow_bias
    return _fused_forward(*inputs, activation, interpret)[0]


def _fused_forward(x, wide_kernel, wide_bias, narrow_kernel, narrow_bias, activation, interpret):
    size, inner = wide_kernel.shape
    rows, tokens, whole = _specs(x)
    y, wide = pl.pallas_call(
        functools.partial(_forward, activation=activation),
        grid=(len(x) // rows,),
        in_specs=[
            tokens(size),
            whole(size, inner),
            whole(1, inner),
            whole(inner, size),
            whole(1, size),
        ],
        out_specs=(tokens(size), tokens(inner)),
        out_shape=(
            jax.ShapeDtypeStruct(x.shape, x.dtype),
            jax.ShapeDtypeStruct((len(x), inner), x.dtype),
        ),
        compiler_params=_compiler_params("parallel"),
        interpret=interpret,
        name="fused_feed_forward",
    )(x, wide_kernel, wide_bias[None], narrow_kernel, narrow_bias[None])
    return y, (x, wide, wide_kernel, wide_bias, narrow_kernel, narrow_bias)


def _fused_backward(activation, interpret, residuals, cotangent):
    x, wide, wide_kernel, wide_bias, narrow_kernel, narrow_bias = residuals
    size, inner = wide_kernel.shape
    rows, tokens, whole = _specs(x)
    d_x, d_wide_kernel, d_wide_bias, d_narrow_kernel, d_narrow_bias = pl.pallas_call(
        functools.partial(_backward, activation=activation),
        grid=(len(x) // rows,),
        in_specs=[
            tokens(size),
            tokens(inner),
            whole(size, inner),
            whole(inner, size),
            tokens(size),
        ],
        out_specs=(
            tokens(size),
            whole(size, inner),
            whole(1, inner),
            whole(inner, size),
            whole(1, size),
        ),
        out_shape=(
            jax.ShapeDtypeStruct(x.shape, x.dtype),
            jax.ShapeDtypeStruct(wide_kernel.shape, wide_kernel.dtype),
            jax.ShapeDtypeStruct((1, inner), jnp.float32),
            jax.ShapeDtypeStruct(narrow_kernel.shape, narrow_kernel.dtype),
            jax.ShapeDtypeStruct((1, size), jnp.float32),
        ),
        scratch_shapes=[
            pltpu.VMEM((size, inner), jnp.float32),
            pltpu.VMEM((inner, size), jnp.float32),
        ],
        compiler_params=_compiler_params("arbitrary"),
        interpret=interpret,
        name="fused_feed_forward_backward",
    )(x, wide, wide_kernel, narrow_kernel, cotangent)
    return (
        d_x,
        d_wide_kernel,
        d_wide_bias[0].astype(wide_bias.dtype),
        d_narrow_kernel,
        d_narrow_bias[0].astype(narrow_bias.dtype),
    )


fused_feed_forward.defvjp(_fused_forward, _fused_backward)


def block_rows(num_tokens: int) -> int | None:
    """Tokens that the kernel takes at a time; None: it cannot take so many tokens evenly."""
    return next((rows for rows in ROWS if num_tokens % rows == 0), None)


def _specs(x):
    """Rows of a block, and the specs of an array that moves with the tokens and of one that stays.

    What stays is fetched, or written, once: it needs no second buffer.
    """
    rows = block_rows(len(x))

    def tokens(columns):
        return pl.BlockSpec((rows, columns), lambda at: (at, 0))

    def whole(*shape):
        return pl.BlockSpec(shape, lambda at: (0, 0), pipeline_mode=pl.Buffered(1))

    return rows, tokens, whole


def _compiler_params(semantics):
    return pltpu.CompilerParams(dimension_semantics=(semantics,), vmem_limit_bytes=_VMEM_BYTES)


def _forward(x, wide_kernel, wide_bias, narrow_kernel, narrow_bias, y, wide, *, activation):
    result = jnp.zeros(y.shape, jnp.float32) + narrow_bias[...]
    for columns in _parts(wide.shape[1]):
        product = dot(x[...], wide_kernel[:, columns], 1, 0) + wide_bias[:, columns]
        product = product.astype(wide.dtype)
        wide[:, columns] = product
        hidden = _ACTIVATIONS[activation](product.astype(jnp.float32)).astype(x.dtype)
        result += dot(hidden, narrow_kernel[columns, :], 1, 0)
    y[...] = result.astype(y.dtype)


def _backward(
    x,
    wide,
    wide_kernel,
    narrow_kernel,
    cotangent,
    d_x,
    d_wide_kernel,
    d_wide_bias,
    d_narrow_kernel,
    d_narrow_bias,
    wide_sum,
    narrow_sum,
    *,
    activation,
):
    sums = wide_sum, narrow_sum, d_wide_bias, d_narrow_bias

    @pl.when(pl.program_id(0) == 0)
    def _():
        for total in sums:
            total[...] = jnp.zeros(total.shape, total.dtype)

    result = jnp.zeros(d_x.shape, jnp.float32)
    d_y = cotangent[...]
    for columns in _parts(wide.shape[1]):
        hidden, pull = jax.vjp(_ACTIVATIONS[activation], wide[:, columns].astype(jnp.float32))
        (d_wide,) = pull(dot(d_y, narrow_kernel[columns, :], 1, 1))
        d_wide_bias[:, columns] += jnp.sum(d_wide, axis=0, keepdims=True)
        d_wide = d_wide.astype(d_y.dtype)
        narrow_sum[columns, :] += dot(hidden.astype(d_y.dtype), d_y, 0, 0)
        wide_sum[:, columns] += dot(x[...], d_wide, 0, 0)
        result += dot(d_wide, wide_kernel[:, columns], 1, 1)
    d_x[...] = result.astype(d_x.dtype)
    d_narrow_bias[...] += jnp.sum(d_y.astype(jnp.float32), axis=0, keepdims=True)

    @pl.when(pl.program_id(0) == pl.num_programs(0) - 1)
    def _():
        d_wide_kernel[...] = wide_sum[...].astype(d_wide_kernel.dtype)
        d_narrow_kernel[...] = narrow_sum[...].astype(d_narrow_kernel.dtype)


def _parts(inner):
    """Slices of the inner columns: while one part's activation is computed, the next's product."""
    columns = next((size for size in _COLUMNS if inner % size == 0), inner)
    return (slice(start, start + columns) for start in range(0, inner, columns))
