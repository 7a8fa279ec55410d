"""Self-attention over packed rows: a token attends to the tokens of its own sequence only."""

import jax
import jax.numpy as jnp
from jax import Array

from biobert_jax.model.dropout import dropout


def attention(
    query: Array,
    key: Array,
    value: Array,
    sequence_ids: Array,
    *,
    implementation: str = "auto",
    dropout_rate: float = 0.0,
    dropout_key: Array | None = None,
) -> Array:
    """Scaled dot-product attention, block-diagonal by sequence.

    Args:
      query, key, value: [batch, length, heads, head_size].
      sequence_ids: int [batch, length]; tokens attend to each other where these are equal.
        Padding (0) attends to padding, which keeps every softmax defined; nothing reads it.
      implementation: "auto" or "xla". Every implementation honours `sequence_ids`: one that
        ignored them would leak one document into another in silence.
      dropout_rate: of the attention probabilities; 0 or `dropout_key` None: none.

    Returns:
      [batch, length, heads, head_size], in the type of `query`.
    """
    if implementation not in ("auto", "xla"):
        raise ValueError(f"attention {implementation!r} is not one of auto, xla")
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
    probabilities = dropout(probabilities, dropout_rate, dropout_key)
    context = jnp.einsum(
        "nqk,nkd->nqd", probabilities.reshape(batch * heads, length, length), by_head(value)
    )
    return context.reshape(batch, heads, length, size).transpose(0, 2, 1, 3)
