"""The masked LM's loss over the whole vocabulary, with a derivative that keeps one array."""

import jax
import jax.numpy as jnp
from jax import Array


@jax.custom_vjp
def vocabulary_cross_entropy(
    x: Array, table: Array, bias: Array, labels: Array
) -> tuple[Array, Array]:
    """-log p(label) under a softmax over the vocabulary, from what the output layer is given.

    The logits, x @ table.T + bias, are the largest array of a step. They are kept once, in the
    type of `x`; sums over them are float32, and no probabilities or their gradients are stored.

    Args:
      x: [B, P, H].
      table: [V, H], or copies of it [groups, V, H], each for its part of B: see `layers.Embed`.
      bias: [V].
      labels: int [B, P].

    Returns:
      Losses, float32 [B, P], and whether the label has the largest logit, bool [B, P].
    """
    return _vocabulary_forward(x, table, bias, labels)[0]


def _vocabulary_forward(x, table, bias, labels):
    product = "bph,vh->bpv" if table.ndim == 2 else "gbph,gvh->gbpv"
    logits = jnp.einsum(
        product, _dealt(x, table), table.astype(x.dtype), preferred_element_type=jnp.float32
    ).reshape(*x.shape[:2], -1)
    logits = (logits + bias).astype(x.dtype)
    if x.dtype != jnp.float32:
        # Otherwise XLA takes the sums of what was not yet rounded, and keeps that in float32 too.
        logits = jax.lax.optimization_barrier(logits)
    wide = logits.astype(jnp.float32)
    # A sum where a look-up would do: it is read along with the others, and may be dealt over
    # devices by the vocabulary.
    of_label = jnp.sum(jnp.where(_is_label(logits, labels), wide, 0.0), axis=-1)
    correct = jnp.argmax(logits, axis=-1) == labels
    largest = jnp.max(wide, axis=-1)
    log_sum = largest + jnp.log(jnp.sum(jnp.exp(wide - largest[..., None]), axis=-1))
    return (log_sum - of_label, correct), (x, table, bias, labels, logits, log_sum)


def _vocabulary_backward(residuals, cotangents):
    x, table, bias, labels, logits, log_sum = residuals
    cotangent = cotangents[0][..., None]
    probabilities = jnp.exp(logits.astype(jnp.float32) - log_sum[..., None])
    d_logits = (probabilities - _is_label(logits, labels)) * cotangent
    d_bias = jnp.sum(d_logits, axis=(0, 1)).astype(bias.dtype)
    d_logits = d_logits.astype(x.dtype)
    d_logits, group = _dealt(d_logits, table), "g" if table.ndim == 3 else ""
    d_x = jnp.einsum(f"{group}bpv,{group}vh->{group}bph", d_logits, table.astype(x.dtype)).reshape(
        x.shape
    )
    d_table = jnp.einsum(
        f"{group}bpv,{group}bph->{group}vh",
        d_logits,
        _dealt(x, table),
        preferred_element_type=jnp.float32,
    )
    return d_x, d_table.astype(table.dtype), d_bias, None


vocabulary_cross_entropy.defvjp(_vocabulary_forward, _vocabulary_backward)


def _dealt(x: Array, table: Array) -> Array:
    """`x` [B, …] by the copies of the table: [groups, B / groups, …]."""
    return x if table.ndim == 2 else x.reshape(len(table), -1, *x.shape[1:])


def _is_label(logits: Array, labels: Array) -> Array:
    places = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
    return places == labels[..., None]
