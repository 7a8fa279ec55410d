"""Dynamic masking on the device: a pure function of a key, static in shape."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from biobert_jax.config import MaskingConfig


class SpecialIds(NamedTuple):
    """Token ids that masking must know, and the size it draws random tokens from."""

    vocab_size: int
    cls: int
    sep: int
    mask: int


class MaskedRows(NamedTuple):
    """Rows with hidden tokens. B rows, L positions, P predictions a row.

    Attributes:
      input_ids: [B, L], some replaced.
      positions: int32 [B, P] of the predictions.
      labels: [B, P], the true ids there.
      weights: float32 [B, P]; 1, or 0 where a row has fewer than P predictions.
    """

    input_ids: Array
    positions: Array
    labels: Array
    weights: Array


def num_predictions(max_seq_length: int, rate: float) -> int:
    """Predictions a full row gets: rate * L, at least 1 (upstream's rule, per row)."""
    return max(1, round(rate * max_seq_length))


def mask_rows(
    key: Array, input_ids: Array, sequence_ids: Array, special: SpecialIds, config: MaskingConfig
) -> MaskedRows:
    """Hides a share of each row's tokens; which ones follows from `key` alone.

    A row with n real tokens gets max(1, round(rate * n)) predictions (upstream counts [CLS] and
    [SEP] in n too), drawn without replacement among its tokens other than [CLS] and [SEP]. Of
    these, `mask_fraction` become [MASK] and `random_fraction` a token drawn uniformly from the
    whole vocabulary.

    Args:
      key: a JAX random key; the same key gives the same masks on any number of devices.
      input_ids: int [B, L].
      sequence_ids: int [B, L]; 0 is padding.
    """
    input_ids = jnp.asarray(input_ids)
    batch, length = input_ids.shape
    select_key, kind_key, random_key = jax.random.split(key, 3)
    real = sequence_ids > 0
    candidates = real & (input_ids != special.cls) & (input_ids != special.sep)

    count = num_predictions(length, config.rate)
    scores = jnp.where(candidates, jax.random.uniform(select_key, (batch, length)), -1.0)
    top, positions = jax.lax.top_k(scores, count)
    wanted = jnp.maximum(1, jnp.round(config.rate * real.sum(axis=1)))[:, None]
    weights = ((jnp.arange(count) < wanted) & (top >= 0)).astype(jnp.float32)

    labels = jnp.take_along_axis(input_ids, positions, axis=1)
    kind = jax.random.uniform(kind_key, (batch, count))
    random_ids = jax.random.randint(random_key, (batch, count), 0, special.vocab_size)
    replaced = jnp.where(
        kind < config.mask_fraction,
        special.mask,
        jnp.where(kind < config.mask_fraction + config.random_fraction, random_ids, labels),
    )
    replaced = jnp.where(weights > 0, replaced, labels).astype(input_ids.dtype)
    rows = jnp.arange(batch)[:, None]
    return MaskedRows(input_ids.at[rows, positions].set(replaced), positions, labels, weights)
