"""Dynamic masking on the device: a pure function of a key, static in shape.

Everything is computed densely, over all positions, with sorts and sums: scattering to chosen
places is slow on a TPU.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from biobert_jax.config import MaskingConfig

# Passes over a row's words; see `_choose_words`.
PASSES = 4


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
      positions: int32 [B, P] of the predictions, in ascending order; 0 where there is none.
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
    key: Array,
    input_ids: Array,
    sequence_ids: Array,
    special: SpecialIds,
    config: MaskingConfig,
    continues: Array | None = None,
) -> MaskedRows:
    """Hides a share of each row's tokens; which ones follows from `key` alone.

    A row with n real tokens gets w = max(1, round(rate * n)) predictions (upstream counts [CLS]
    and [SEP] in n too), drawn without replacement among its tokens other than [CLS] and [SEP]. Of
    these, `mask_fraction` become [MASK] and `random_fraction` a token drawn uniformly from the
    whole vocabulary, each token by itself.

    With `config.whole_word` words are drawn instead, in a random order; each is hidden, all its
    pieces, unless more than w tokens would be hidden with it (upstream's
    `create_masked_lm_predictions`). Since shorter words then fill what is left, w is nearly
    always met; a word of more than w pieces is never hidden, and a row of nothing else has no
    prediction.

    Args:
      key: a JAX random key; the same key gives the same masks on any number of devices. It is of
        the whole batch: parts of it masked apart get other masks.
      input_ids: int [B, L].
      sequence_ids: int [B, L]; 0 is padding.
      continues: bool [V], on the device; the tokens that go on with the word before them, as
        `load_tokenizer(path).continuation_table()` gives them. Only whole words need it.

    Raises:
      ValueError: whole words without `continues`.
    """
    if config.whole_word and continues is None:
        raise ValueError("masking.whole_word needs to know which tokens continue a word")
    input_ids = jnp.asarray(input_ids)
    shape, length = input_ids.shape, input_ids.shape[1]
    select_key, kind_key, random_key = jax.random.split(key, 3)
    real = sequence_ids > 0
    candidates = real & (input_ids != special.cls) & (input_ids != special.sep)

    count = num_predictions(length, config.rate)
    wanted = jnp.maximum(1, jnp.round(config.rate * real.sum(axis=1))).astype(jnp.int32)
    wanted = jnp.minimum(wanted, count)[:, None]
    order = _random_order(select_key, shape)
    if config.whole_word:
        starts = candidates & ~_goes_on(input_ids, sequence_ids, candidates, continues)
        chosen = _choose_words(order, starts, candidates, wanted)
    else:
        chosen = _choose_tokens(order, candidates, wanted, count)

    kind = jax.random.uniform(kind_key, shape)
    random_ids = jax.random.randint(random_key, shape, 0, special.vocab_size, input_ids.dtype)
    replaced = jnp.where(
        kind < config.mask_fraction,
        special.mask,
        jnp.where(kind < config.mask_fraction + config.random_fraction, random_ids, input_ids),
    )
    hidden_ids = jnp.where(chosen, replaced, input_ids).astype(input_ids.dtype)
    return MaskedRows(hidden_ids, *_predictions(chosen, input_ids, count))


def _random_order(key: Array, shape: tuple[int, int]) -> Array:
    """Non-negative int32 [B, L] in random order, no two alike in a row.

    The position stands in the low bits, so that no tie makes a row's count differ.
    """
    position = jnp.arange(shape[1], dtype=jnp.uint32)
    low = (1 << (shape[1] - 1).bit_length()) - 1
    bits = jax.random.bits(key, shape, jnp.uint32) >> 1
    return ((bits & ~jnp.uint32(low)) | position).astype(jnp.int32)


def _choose_tokens(order: Array, candidates: Array, wanted: Array, count: int) -> Array:
    """The `wanted` [B, 1], at most `count`, first candidates in `order`; bool [B, L]."""
    last = jnp.iinfo(jnp.int32).max
    first = jnp.sort(jnp.where(candidates, order, last), axis=1)[:, :count]
    threshold = jnp.max(jnp.where(jnp.arange(count) < wanted, first, -1), axis=1, keepdims=True)
    return candidates & (order <= threshold)


def _goes_on(input_ids: Array, sequence_ids: Array, candidates: Array, continues: Array) -> Array:
    """Whether a piece belongs to the word of the position before it; bool [B, L]."""

    def before(x):
        return jnp.pad(x[:, :-1], ((0, 0), (1, 0)))

    same = before(candidates) & (before(sequence_ids) == sequence_ids)
    return jnp.asarray(continues)[input_ids] & same


def _choose_words(order: Array, starts: Array, candidates: Array, wanted: Array) -> Array:
    """All pieces of the words taken one after another in `order`, those that do not fit left out.

    A word is where its first piece is; it has the `order` of that place. Upstream's loop over
    words is done in passes over the whole row: each takes the words, in order, up to the first
    that does not fit, and the next goes on behind it with those that may still fit. What is left
    after a pass is smaller than that word, and so after `PASSES` nearly always nothing.

    Args:
      order: int32 [B, L]. starts, candidates: bool [B, L]. wanted: int32 [B, 1].
    """
    length = order.shape[1]
    position = jnp.arange(length)
    # A word ends before the next start or the next token that is no candidate.
    bounds = jnp.where(starts | ~candidates, position, length)
    following = jnp.pad(bounds[:, 1:], ((0, 0), (0, 1)), constant_values=length)
    sizes = jnp.where(starts, jax.lax.cummin(following, axis=1, reverse=True) - position, 0)
    sorted_order, sorted_sizes = jax.lax.sort(
        (jnp.where(starts, order, jnp.iinfo(jnp.int32).max), sizes), num_keys=1
    )

    def take(_, carry):
        taken, left, reached = carry
        fits = (sorted_order > reached) & (sorted_sizes <= left)
        total = jnp.cumsum(jnp.where(fits, sorted_sizes, 0), axis=1)
        fits &= total <= left
        last = jnp.max(jnp.where(fits, sorted_order, reached), axis=1, keepdims=True)
        taken |= starts & (order > reached) & (order <= last) & (sizes <= left)
        left = left - jnp.sum(jnp.where(fits, sorted_sizes, 0), axis=1, keepdims=True)
        return taken, left, last

    none = jnp.zeros_like(starts), wanted, jnp.full_like(wanted, -1)
    taken, _, _ = jax.lax.fori_loop(0, PASSES, take, none)

    # From the first pieces to the others: the last start's verdict, carried along.
    verdict = jax.lax.cummax(jnp.where(starts, 2 * position + taken, -1), axis=1)
    return candidates & (verdict % 2 == 1) & (verdict >= 0)


def _predictions(chosen: Array, input_ids: Array, count: int) -> tuple[Array, Array, Array]:
    """Positions, labels and weights [B, P] of the chosen places [B, L], from left to right."""
    length = chosen.shape[1]
    places = jnp.sort(jnp.where(chosen, jnp.arange(length), length), axis=1)[:, :count]
    used = places < length
    positions = jnp.where(used, places, 0)
    return positions, jnp.take_along_axis(input_ids, positions, axis=1), used.astype(jnp.float32)
