"""What tasks learn by: sums and weights over a batch's targets; NO_TARGET weighs nothing."""

import jax
import jax.numpy as jnp
import optax
from jax import Array

from biobert_jax.model.heads import WeightedSum, cross_entropy


def class_losses(
    logits: Array, labels: Array, class_weights: Array | None = None
) -> dict[str, WeightedSum]:
    """Cross-entropy and accuracy of classes that exclude each other.

    Args:
      logits: float32 [..., C].
      labels: int [...]; -1: no target.
      class_weights: float [C], what an example of each class weighs in the loss.
    """
    given = (labels >= 0).astype(jnp.float32)
    labels = jnp.maximum(labels, 0)
    weights = given if class_weights is None else given * jnp.asarray(class_weights)[labels]
    correct = (jnp.argmax(logits, -1) == labels) * given
    return {
        "label_loss": cross_entropy(logits, labels, weights),
        "label_accuracy": WeightedSum(jnp.sum(correct), jnp.sum(given)),
    }


def multi_label_losses(
    logits: Array, targets: Array, class_weights: Array | None = None
) -> dict[str, WeightedSum]:
    """Sigmoid cross-entropy of classes that do not exclude each other.

    Args:
      logits: float32 [..., C].
      targets: float [..., C] of 0 and 1; NaN: no target.
      class_weights: float [C], what a positive target of each class weighs.
    """
    given = ~jnp.isnan(targets)
    targets = jnp.where(given, targets, 0.0)
    losses = optax.sigmoid_binary_cross_entropy(logits, targets)
    weights = given.astype(jnp.float32)
    if class_weights is not None:
        weights = weights * jnp.where(targets > 0, jnp.asarray(class_weights), 1.0)
    correct = ((logits > 0) == (targets > 0)) * given
    return {
        "label_loss": WeightedSum(jnp.sum(losses * weights), jnp.sum(weights)),
        "label_accuracy": WeightedSum(jnp.sum(correct), jnp.sum(given)),
    }


def squared_losses(values: Array, targets: Array) -> dict[str, WeightedSum]:
    """Squared errors of numbers [...]; a target of NaN weighs nothing."""
    given = ~jnp.isnan(targets)
    errors = jnp.where(given, values - jnp.where(given, targets, 0.0), 0.0)
    return {"squared_loss": WeightedSum(jnp.sum(errors**2), jnp.sum(given).astype(jnp.float32))}


def span_losses(logits: Array, sequence_ids: Array, spans: Array) -> dict[str, WeightedSum]:
    """Cross-entropy of where answers start and end, each among its sequence's own positions.

    Upstream's `run_squad.py` with a row of one sequence: the mean of both, and [CLS] is the
    answer of a passage without one.

    Args:
      logits: float32 [B, L, 2], of starts and ends.
      sequence_ids: int [B, L].
      spans: int [B, K, 2]; first and last position in the row, both of sequence k + 1; -1: no
        target.
    """
    given = jnp.all(spans >= 0, axis=-1)  # [B, K]
    spans = jnp.maximum(spans, 0)
    log_sums = sequence_log_sums(logits, sequence_ids, spans.shape[1])
    chosen = jnp.take_along_axis(logits, spans, axis=1)  # [B, K, 2]
    losses = jnp.where(given[..., None], log_sums - chosen, 0.0)
    weight = jnp.sum(given).astype(jnp.float32)
    # The likeliest start and end of each sequence.
    own = _own(sequence_ids, spans.shape[1])
    best = jnp.argmax(jnp.where(own, logits[:, None], -jnp.inf), axis=2)
    exact = jnp.all(best == spans, axis=-1) & given
    return {
        "span_loss": WeightedSum(jnp.sum(losses) / 2, weight),
        "span_accuracy": WeightedSum(jnp.sum(exact).astype(jnp.float32), weight),
    }


def sequence_log_sums(logits: Array, sequence_ids: Array, count: int) -> Array:
    """log sum exp of each sequence's positions: [B, L, C] to [B, count, C].

    A sequence that a row has not gets a large negative number: weigh it with 0.
    """
    masked = jnp.where(_own(sequence_ids, count), logits[:, None], -1e9)
    return jax.nn.logsumexp(masked, axis=2)


def _own(sequence_ids: Array, count: int) -> Array:
    """Whose position is whose: bool [B, count, L, 1]."""
    numbers = jnp.arange(1, count + 1)
    return (sequence_ids[:, None, :] == numbers[:, None])[..., None]
