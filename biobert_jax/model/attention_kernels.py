"""Fused attention kernels over packed rows, each given the sequences that must not mix.

All take query, key, value [batch, length, heads, head_size] and sequence_ids int [batch, length],
and return [batch, length, heads, head_size]. Their scores never reach memory whole, which is what
attention in XLA spends most of a TPU's or GPU's bandwidth on.
"""

import functools
import warnings

import jax
import jax.numpy as jnp
from jax import Array

from biobert_jax.errors import UserError
from biobert_jax.model.partitioning import HEADS, ROWS

# Splash works on tiles of 128 lanes. One tile of up to 512 holds a whole row of BERT: then the
# backward pass needs no second pass for the gradient of the queries, nor a sum over tiles.
_LANES = 128
_LARGEST_BLOCK = 512
# Of padding that is added here to reach a multiple of a tile: no sequence has it.
_FILL = -1


def platform() -> str:
    """What the step is compiled for: "tpu", "gpu" or "cpu"."""
    mesh = jax.sharding.get_abstract_mesh()
    device = getattr(mesh, "abstract_device", None)
    name = device.platform if device is not None else jax.default_backend()
    return "gpu" if name in ("cuda", "rocm") else name


def splash(query: Array, key: Array, value: Array, sequence_ids: Array) -> Array:
    """`jax.experimental.pallas.ops.tpu.splash_attention` (TPU), interpreted elsewhere."""
    length = query.shape[1]
    padded = -(-length // _LANES) * _LANES
    run = functools.partial(_splash, interpret=platform() != "tpu")
    padded_inputs = _pad_rows(padded - length, query, key, value, sequence_ids)
    return _by_shard(run, *padded_inputs)[:, :length]


def _splash(query, key, value, sequence_ids, interpret):
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as kernels
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as masks

    _, length, heads, size = query.shape
    block = max(x for x in range(_LANES, _LARGEST_BLOCK + 1, _LANES) if length % x == 0)
    kernel = kernels.make_splash_mha(
        masks.MultiHeadMask([masks.FullMask((length, length))] * heads),
        block_sizes=kernels.BlockSizes(
            block_q=block,
            block_kv=block,
            block_q_dkv=block,
            block_kv_dkv=block,
            use_fused_bwd_kernel=True,
        ),
        head_shards=1,
        q_seq_shards=1,
        interpret=interpret,
    )

    def heads_first(x):
        return x.transpose(0, 2, 1, 3)

    def row(query, key, value, ids):
        return kernel(query, key, value, kernels.SegmentIds(ids, ids))

    context = jax.vmap(row)(
        heads_first(query * size**-0.5), heads_first(key), heads_first(value), sequence_ids
    )
    return heads_first(context)


def _by_shard(run, query, key, value, sequence_ids):
    """Calls a kernel on each device's own rows and heads: XLA cannot deal out a kernel itself."""
    if jax.sharding.get_abstract_mesh().empty:
        return run(query, key, value, sequence_ids)
    return jax.shard_map(
        run, in_specs=(HEADS, HEADS, HEADS, ROWS), out_specs=HEADS, check_vma=False
    )(query, key, value, sequence_ids)


def packed_bias(sequence_ids: Array, dtype) -> Array:
    """What is added to scores, [batch, 1, length, length]: 0 within a sequence, else so low that
    its exponential is exactly 0."""
    same = sequence_ids[:, None, :, None] == sequence_ids[:, None, None, :]
    # Not the lowest number: added to a negative score, that would be -inf.
    return jnp.where(same, 0, 0.5 * float(jnp.finfo(dtype).min)).astype(dtype)


def cudnn(
    query: Array, key: Array, value: Array, sequence_ids: Array, implementation: str = "cudnn"
) -> Array:
    """cuDNN's flash attention (GPU), which has no segment ids: the sequences are a bias.

    Lengths of sequences alone would let packed ones mix. The bias is read once a row, by all its
    heads. `implementation` is of `jax.nn.dot_product_attention`; "xla" shows the same on a CPU.

    Raises:
      UserError: activations that are not bfloat16 or float16, the only ones that cuDNN takes.
    """
    if implementation == "cudnn" and jnp.dtype(query.dtype).itemsize != 2:
        raise UserError(
            "model.attention 'cudnn' takes bfloat16 only: set model.dtype to 'bfloat16', or "
            "model.attention to 'xla'"
        )

    def run(query, key, value, ids):
        return jax.nn.dot_product_attention(
            query, key, value, packed_bias(ids, query.dtype), implementation=implementation
        )

    return _by_shard(run, query, key, value, sequence_ids)


def triton(query: Array, key: Array, value: Array, sequence_ids: Array) -> Array:
    """`jax.experimental.pallas.ops.gpu.attention` (GPU), interpreted elsewhere."""
    with warnings.catch_warnings():
        # JAX 0.12 says on import that the module moves to tokamax, a package of its own.
        warnings.simplefilter("ignore", DeprecationWarning)
        from jax.experimental.pallas.ops.gpu import attention as kernels

    _, length, _, size = query.shape
    # Its tiles are of 128, or one of a power of two where a row is shorter.
    padded = max(32, 1 << (length - 1).bit_length()) if length <= 128 else -(-length // 128) * 128

    def run(query, key, value, ids):
        return kernels.mha(
            query, key, value, ids, sm_scale=size**-0.5, interpret=platform() != "gpu"
        )

    padded_inputs = _pad_rows(padded - length, query, key, value, sequence_ids)
    return _by_shard(run, *padded_inputs)[:, :length]


def _pad_rows(count, query, key, value, sequence_ids):
    if not count:
        return query, key, value, sequence_ids
    pad = ((0, 0), (0, count))
    sequence_ids = jnp.pad(sequence_ids, pad, constant_values=_FILL)
    return *(jnp.pad(x, (*pad, (0, 0), (0, 0))) for x in (query, key, value)), sequence_ids
