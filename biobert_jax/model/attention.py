"""Self-attention over packed rows: a token attends to the tokens of its own sequence only.

| implementation | runs on | dropout of probabilities | what it is |
|---|---|---|---|
| xla | everywhere | yes | two matrix products and a softmax; the reference |
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
from biobert_jax.model import attention_kernels
from biobert_jax.model.dropout import dropout

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
    name = choose(implementation, dropping)
    if name == "xla":
        return _xla(query, key, value, sequence_ids, dropout_rate, dropout_seeds)
    if dropping:
        raise UserError(
            f"model.attention {name!r} cannot drop attention probabilities: set "
            "model.attention_probs_dropout_prob to 0, or model.attention to 'xla'"
        )
    return KERNELS[name](query, key, value, sequence_ids)


def choose(implementation: str, dropping: bool) -> str:
    """The implementation that a name stands for on the devices in use.

    "auto" is splash on a TPU, unless probabilities are dropped, and xla elsewhere. On a GPU too:
    neither cudnn nor triton could be measured where this was written, and a slower step is a
    smaller harm than a kernel that fails.

    Raises:
      UserError: an unknown name, or one known to ignore `sequence_ids`.
    """
    if implementation == "auto":
        return "splash" if attention_kernels.platform() == "tpu" and not dropping else "xla"
    if implementation not in ATTENTION:
        raise UserError(
            f"model.attention is {implementation!r}, which is not known to keep packed sequences "
            f"apart: choose one of {', '.join(ATTENTION)}"
        )
    return implementation


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
