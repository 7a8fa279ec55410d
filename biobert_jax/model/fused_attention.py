"""Attention of whole packed rows in one Pallas kernel (TPU), forward and backward.

A row of BERT is short: all its scores of a head fit on the chip. So nothing is kept for the
backward pass but its inputs, no statistics go to memory, and probabilities can be dropped, with
the bits of `dropout`. Projections are read and written where the matrix products leave and want
them, [batch, length, columns], without moving heads to the front: a block of 128 columns holds the
queries of one or more heads, the next their keys, the next their values.

The heads of a block are told apart by zeroing the others' columns. That costs a systolic array of
128 or more columns nothing: heads of 64 would leave half of it idle.
"""

import functools

import jax
import jax.numpy as jnp
from jax import Array
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from biobert_jax.model.dropout import keep_elements
from biobert_jax.model.pallas import dot

LANES = 128
# Scores of a head are 1 MiB in float32 at 512: a few such arrays are what the chip has room for.
LONGEST = 512
_VMEM_BYTES = 64 * 2**20
_MASKED = -1e30


def interleave(query: Array, key: Array, value: Array, block: int) -> Array:
    """Three [..., hidden] to [..., 3 * hidden]: a block of each in turn."""
    parts = [x.reshape(*x.shape[:-1], -1, block) for x in (query, key, value)]
    stacked = jnp.stack(parts, axis=-2)
    return stacked.reshape(*query.shape[:-1], -1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5, 6, 7))
def fused_attention(
    qkv: Array,
    bias: Array,
    sequence_ids: Array,
    seeds: Array,
    block: int,
    head_size: int,
    dropout_rate: float,
    interpret: bool,
) -> Array:
    """Attention of interleaved projections.

    Args:
      qkv: [B, L, 3 * hidden], see `interleave`; L a multiple of 128, at most `LONGEST`.
      bias: float32 [B, 3 * hidden], a row's, added to `qkv` here, so that its gradient is summed
        over the row here too.
      sequence_ids: int32 [B, L].
      seeds: int32 [B, 4]: a row's two seeds of dropout as bits, the number of the first head here
        and the row's length before it was padded.
      block: columns of a block.

    Returns:
      [B, L, hidden].
    """
    call = _call(_forward, qkv, block, head_size, dropout_rate, interpret)
    return call(seeds, sequence_ids[:, None, :], qkv, bias[:, None])


def _fused_forward(qkv, bias, sequence_ids, seeds, block, head_size, dropout_rate, interpret):
    context = fused_attention(
        qkv, bias, sequence_ids, seeds, block, head_size, dropout_rate, interpret
    )
    return context, (qkv, bias, sequence_ids, seeds)


def _fused_backward(block, head_size, dropout_rate, interpret, residuals, cotangent):
    qkv, bias, sequence_ids, seeds = residuals
    call = _call(_backward, qkv, block, head_size, dropout_rate, interpret)
    d_qkv, d_bias = call(seeds, sequence_ids[:, None, :], qkv, bias[:, None], cotangent)
    return d_qkv, d_bias[:, 0], None, None


fused_attention.defvjp(_fused_forward, _fused_backward)


def _call(kernel, qkv, block, head_size, dropout_rate, interpret):
    """The kernel over all rows and blocks; the backward one has the cotangent as an input more."""
    batch, length, width = qkv.shape
    backward = kernel is _backward
    whole = pl.BlockSpec((None, length, 3 * block), lambda row, at: (row, 0, at))
    part = pl.BlockSpec((None, length, block), lambda row, at: (row, 0, at))
    of_row = pl.BlockSpec((None, 1, 3 * block), lambda row, at: (row, 0, at))
    return pl.pallas_call(
        functools.partial(kernel, head_size=head_size, dropout_rate=dropout_rate),
        grid=(batch, width // (3 * block)),
        in_specs=[
            pl.BlockSpec(memory_space=pltpu.SMEM),
            pl.BlockSpec((None, 1, length), lambda row, at: (row, 0, 0)),
            whole,
            of_row,
            *([part] if backward else []),
        ],
        out_specs=(whole, of_row) if backward else part,
        out_shape=(
            (
                jax.ShapeDtypeStruct(qkv.shape, qkv.dtype),
                jax.ShapeDtypeStruct((batch, 1, width), jnp.float32),
            )
            if backward
            else jax.ShapeDtypeStruct((batch, length, width // 3), qkv.dtype)
        ),
        scratch_shapes=[pltpu.VMEM((length, length), jnp.float32)],
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "arbitrary"), vmem_limit_bytes=_VMEM_BYTES
        ),
        interpret=interpret,
        name="fused_attention" + ("_backward" if backward else ""),
    )


def _forward(seeds, ids, qkv, bias, context, apart, *, head_size, dropout_rate):
    _set_apart(ids, apart)
    query, key, value = _split(qkv, bias)
    result = jnp.zeros(query.shape, jnp.float32)
    for head in range(query.shape[1] // head_size):
        probabilities = _probabilities(_of_head(query, head, head_size), key, apart, head_size)
        kept, scale = _kept(seeds, head, head_size, query.shape[1], apart.shape, dropout_rate)
        dropped = probabilities if kept is None else jnp.where(kept, probabilities * scale, 0.0)
        mixed = dot(dropped.astype(value.dtype), value, 1, 0)
        result += _of_head(mixed, head, head_size)
    context[...] = result.astype(context.dtype)


def _backward(seeds, ids, qkv, bias, cotangent, gradient, sums, apart, *, head_size, dropout_rate):
    _set_apart(ids, apart)
    query, key, value = _split(qkv, bias)
    block, dtype = query.shape[1], query.dtype
    d_query = d_key = d_value = jnp.zeros(query.shape, jnp.float32)
    for head in range(block // head_size):
        query_h, key_h, d_context = (
            _of_head(x, head, head_size) for x in (query, key, cotangent[...])
        )
        probabilities = _probabilities(query_h, key, apart, head_size)
        d_probabilities = dot(d_context, value, 1, 1)
        dropped = probabilities
        kept, scale = _kept(seeds, head, head_size, block, apart.shape, dropout_rate)
        if kept is not None:
            dropped = jnp.where(kept, probabilities * scale, 0.0)
            d_probabilities = jnp.where(kept, d_probabilities * scale, 0.0)
        mean = jnp.sum(probabilities * d_probabilities, axis=1, keepdims=True)
        d_scores = probabilities * (d_probabilities - mean) * head_size**-0.5
        d_scores = d_scores.astype(dtype)
        d_value += dot(dropped.astype(dtype), d_context, 0, 0)
        d_query += dot(d_scores, key_h, 1, 0)
        d_key += dot(d_scores, query_h, 0, 0)
    for number, part in enumerate((d_query, d_key, d_value)):
        columns = slice(number * block, (number + 1) * block)
        gradient[:, columns] = part.astype(gradient.dtype)
        sums[:, columns] = jnp.sum(part, axis=0, keepdims=True)


def _set_apart(ids, apart):
    """For each row's first block: 0 where the two positions are of one sequence."""

    @pl.when(pl.program_id(1) == 0)
    def _():
        along = jnp.broadcast_to(ids[...], apart.shape)
        apart[...] = jnp.where(along == along.T, 0.0, _MASKED)


def _split(qkv, bias):
    block = qkv.shape[1] // 3
    parts = (slice(number * block, (number + 1) * block) for number in range(3))
    return ((qkv[:, part] + bias[:, part]).astype(qkv.dtype) for part in parts)


def _of_head(x, head, head_size):
    """`x` [length, block] with the other heads' columns zeroed."""
    column = jax.lax.broadcasted_iota(jnp.int32, x.shape, 1)
    mine = (column >= head * head_size) & (column < (head + 1) * head_size)
    return jnp.where(mine, x, jnp.zeros_like(x))


def _probabilities(query, key, apart, head_size):
    """Float32 softmax [length, length]; exactly 0 between sequences."""
    scores = dot(query, key, 1, 1) * head_size**-0.5 + apart[...]
    exponentials = jnp.exp(scores - jnp.max(scores, axis=1, keepdims=True))
    return exponentials / jnp.sum(exponentials, axis=1, keepdims=True)


def _kept(seeds, head, head_size, block, shape, dropout_rate):
    """Which probabilities are not dropped, those that `dropout` keeps of [B, heads, L, L]."""
    if dropout_rate == 0.0:
        return None, 1.0
    row = pl.program_id(0)
    head = seeds[row, 2] + pl.program_id(1) * (block // head_size) + head
    length = seeds[row, 3]
    query = jax.lax.broadcasted_iota(jnp.int32, shape, 0)
    key = jax.lax.broadcasted_iota(jnp.int32, shape, 1)
    index = (head * length + query) * length + key
    kept = keep_elements(index, seeds[row, 0], seeds[row, 1], dropout_rate)
    return kept, 1.0 / (1.0 - dropout_rate)
