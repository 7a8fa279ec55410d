"""Self-attention over packed rows: a token attends to the tokens of its own sequence only.

| implementation | runs on | dropout of probabilities | what it is |
|---|---|---|---|
| xla | everywhere | yes | two matrix products and a softmax; the reference |
| fused | TPU, rows up to 512 | yes | our Pallas kernel, a whole row at a time |
| splash | TPU | no | JAX's Pallas kernel with segment ids |
| cudnn | NVIDIA GPU, bfloat16 | no | cuDNN's flash attention; the sequences as a bias |
| triton | NVIDIA GPU | no | JAX's Pallas kernel with segment ids |

The Pallas kernels are interpreted, slowly, on a CPU: for tests. Every implementation honours
`sequence_ids`: one that ignored them would leak one document into another in silence, and is
refused by name.
"""

import jax
import jax.numpy as jnp
from jax import Array

from biobert_jax.config import ATTENTION
from biobert_jax.errors import UserError
from biobert_jax.model import attention_kernels, fused_attention
from biobert_jax.model.dropout import dropout
from biobert_jax.model.partitioning import ROW_COLUMNS, ROWS, TENSOR, WIDE

KERNELS = {
    "splash": attention_kernels.splash,
    "cudnn": attention_kernels.cudnn,
    "triton": attention_kernels.triton,
}


def attention(
    query: Array,
    key: Array,
    value: Array,
    sequence_ids: Array,
    *,
    implementation: str = "auto",
    dropout_rate: float = 0.0,
    dropout_seeds: Array | None = None,
) -> Array:
    """Scaled dot-product attention, block-diagonal by sequence.

    Args:
      query, key, value: [batch, length, heads, head_size].
      sequence_ids: int [batch, length]; tokens attend to each other where these are equal.
        Padding (0) attends to padding, which keeps every softmax defined; nothing reads it.
      implementation: "auto" or one of the module's table.
      dropout_rate: of the attention probabilities.
      dropout_seeds: uint32 [batch, 2], a row's randomness; None: no dropout.

    Returns:
      [batch, length, heads, head_size], in the type of `query`.

    Raises:
      UserError: an implementation that does not honour `sequence_ids`, or that cannot drop
        probabilities where that is asked for.
    """
    dropping = dropout_seeds is not None and dropout_rate > 0
    _, length, heads, size = query.shape
    name = choose(implementation, dropping, length, heads * size, size)
    if name == "xla":
        return _xla(query, key, value, sequence_ids, dropout_rate, dropout_seeds)
    if name == "fused":
        block = block_columns(heads * size, size)
        flat = (x.reshape(*x.shape[:2], -1) for x in (query, key, value))
        qkv = fused_attention.interleave(*flat, block)
        none = jnp.zeros(qkv.shape[-1], qkv.dtype)
        context = fused(qkv, none, sequence_ids, heads, block, dropout_rate, dropout_seeds)
        return context.reshape(query.shape)
    if dropping:
        raise UserError(
            f"model.attention {name!r} cannot drop attention probabilities: set "
            "model.attention_probs_dropout_prob to 0, or model.attention to 'xla'"
        )
    return KERNELS[name](query, key, value, sequence_ids)


def choose(
    implementation: str,
    dropping: bool,
    length: int,
    hidden: int,
    head_size: int,
    platform: str | None = None,
) -> str:
    """The implementation that a name stands for on the devices in use, or on `platform`.

    "auto" is fused on a TPU where the shapes allow it, else splash, unless probabilities are
    dropped, and xla elsewhere. On a GPU too: neither cudnn nor triton could be measured where this
    was written, and a slower step is a smaller harm than a kernel that fails.

    Raises:
      UserError: an unknown name, or one known to ignore `sequence_ids`; shapes that fused cannot
        take.
    """
    if implementation == "auto":
        if (platform or attention_kernels.platform()) != "tpu":
            return "xla"
        if block_columns(hidden, head_size) and length <= fused_attention.LONGEST:
            return "fused"
        return "xla" if dropping else "splash"
    if implementation not in ATTENTION:
        raise UserError(
            f"model.attention is {implementation!r}, which is not known to keep packed sequences "
            f"apart: choose one of {', '.join(ATTENTION)}"
        )
    if implementation == "fused" and length > fused_attention.LONGEST:
        raise UserError(
            f"model.attention 'fused' takes rows of at most {fused_attention.LONGEST}, not "
            f"{length}: set it to 'splash'"
        )
    if implementation == "fused" and not block_columns(hidden, head_size):
        raise UserError(
            f"model.attention 'fused' cannot deal {hidden // head_size} heads of {head_size} to "
            f"blocks of {fused_attention.LANES} columns on each device: set it to 'splash'"
        )
    return implementation


def block_columns(hidden: int, head_size: int) -> int | None:
    """Columns of the fused kernel's blocks, on each device; None: it cannot take these heads."""
    mesh = jax.sharding.get_abstract_mesh()
    here = hidden if mesh.empty else hidden // mesh.shape[TENSOR]
    if here <= fused_attention.LANES:
        return here
    fits = fused_attention.LANES % head_size == 0 and here % fused_attention.LANES == 0
    return fused_attention.LANES if fits else None


def fused(
    qkv: Array,
    bias: Array,
    sequence_ids: Array,
    num_heads: int,
    block: int,
    dropout_rate: float,
    dropout_seeds: Array | None,
) -> Array:
    """Attention of projections in one array, [B, L, 3H] as `fused_attention.interleave` has them.

    `bias` [3H] is added to them.

    Returns:
      [B, L, H]. What `attention` gives, dropout included.
    """
    batch, length, width = qkv.shape
    head_size = width // 3 // num_heads
    if dropout_seeds is None:
        dropout_rate = 0.0
        dropout_seeds = jnp.zeros((batch, 2), jnp.uint32)
    seeds = jax.lax.bitcast_convert_type(dropout_seeds, jnp.int32)
    padded = -(-length // fused_attention.LANES) * fused_attention.LANES
    if padded != length:
        qkv = jnp.pad(qkv, ((0, 0), (0, padded - length), (0, 0)))
        sequence_ids = jnp.pad(sequence_ids, ((0, 0), (0, padded - length)), constant_values=-1)

    # One for each row: its gradient is then added up, over rows and devices, like all others.
    bias = jnp.broadcast_to(bias.astype(jnp.float32), (batch, width))

    def run(qkv, bias, sequence_ids, seeds, first_head):
        more = jnp.broadcast_to(jnp.stack([first_head, jnp.int32(length)]), (len(seeds), 2))
        return fused_attention.fused_attention(
            qkv,
            bias,
            sequence_ids,
            jnp.concatenate([seeds, more], axis=1),
            block,
            head_size,
            dropout_rate,
            attention_kernels.platform() != "tpu",
        )

    def run_shard(qkv, bias, sequence_ids, seeds):
        first_head = jax.lax.axis_index(TENSOR) * (qkv.shape[-1] // 3 // head_size)
        return run(qkv, bias, sequence_ids, seeds, first_head.astype(jnp.int32))

    if jax.sharding.get_abstract_mesh().empty:
        return run(qkv, bias, sequence_ids, seeds, jnp.int32(0))[:, :length]
    # XLA cannot deal out a kernel itself.
    context = jax.shard_map(
        run_shard, in_specs=(WIDE, ROW_COLUMNS, ROWS, ROWS), out_specs=WIDE, check_vma=False
    )(qkv, bias, sequence_ids, seeds)
    return context[:, :length]


def _xla(query, key, value, sequence_ids, dropout_rate, dropout_seeds):
    batch, length, heads, size = query.shape

    def by_head(x):  # one contiguous matrix a head: what a CPU's batched product is fast on
        return x.transpose(0, 2, 1, 3).reshape(batch * heads, length, size)

    logits = jnp.einsum(
        "nqd,nkd->nqk",
        by_head(query * size**-0.5),
        by_head(key),
        preferred_element_type=jnp.float32,
    ).reshape(batch, heads, length, length)
    same = sequence_ids[:, None, :, None] == sequence_ids[:, None, None, :]
    # The lowest finite number, not -inf: exp gives exactly 0 for other sequences, and so does
    # the gradient, with no 0 * inf on the way back.
    logits = jnp.where(same, logits, jnp.finfo(jnp.float32).min)
    probabilities = jax.nn.softmax(logits, axis=-1).astype(query.dtype)
    probabilities = dropout(probabilities, dropout_rate, dropout_seeds)
    context = jnp.einsum(
        "nqk,nkd->nqd", probabilities.reshape(batch * heads, length, length), by_head(value)
    )
    return context.reshape(batch, heads, length, size).transpose(0, 2, 1, 3)
