"""Dropout: the rate, no pattern between elements, rows and uses, and bits that never change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from biobert_jax.model.dropout import dropout, fold_in, row_seeds

dropped = jax.jit(dropout, static_argnums=1)


def kept(shape, rate=0.1, key=0, use=0):
    seeds = fold_in(row_seeds(jax.random.key(key), shape[0]), use)
    return np.asarray(dropped(jnp.ones(shape), rate, seeds)) != 0


def deviation(hits, rate, count=None):
    """How many standard deviations the share of True is from `rate`."""
    count = hits.size if count is None else count
    return abs(hits.sum() - count * rate) / np.sqrt(count * rate * (1 - rate))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_rate_and_scale(rate):
    x = jax.random.normal(jax.random.key(1), (8, 100, 400))
    y = np.asarray(dropped(x, rate, row_seeds(jax.random.key(0), 8)))
    assert deviation(y == 0, rate) < 4
    where = y != 0
    np.testing.assert_allclose(y[where], np.asarray(x)[where] / (1 - rate), rtol=1e-6)


def test_no_rate_or_no_seeds_returns_the_input_itself():
    x = jnp.ones((2, 3))
    assert dropout(x, 0.0, row_seeds(jax.random.key(0), 2)) is x
    assert dropout(x, 0.5, None) is x


def test_every_row_and_every_column_has_the_rate():
    mask = ~kept((64, 64, 256))
    for axes in ((1, 2), (0, 2), (0, 1)):
        counts = mask.sum(axis=axes)
        number = mask.size / counts.size
        squares = (counts - 0.1 * number) ** 2 / (0.09 * number)
        # Chi-square with as many degrees of freedom as there are counts.
        freedom = counts.size
        assert abs(squares.sum() - freedom) < 5 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("shift", [1, 2, 64, 256, 257])
def test_elements_are_independent(shift):
    mask = ~kept((16, 256, 256)).reshape(16, -1)
    assert deviation(mask[:, shift:] & mask[:, :-shift], 0.01) < 4.5


def test_rows_and_uses_and_steps_are_independent():
    masks = [~kept((16, 4096), use=use) for use in range(8)] + [~kept((16, 4096), key=1)]
    for number, one in enumerate(masks):
        assert deviation(one[:-1] & one[1:], 0.01) < 4.5
        for other in masks[:number]:
            assert deviation(one & other, 0.01) < 4.5


def test_bits_do_not_depend_on_how_the_batch_is_dealt():
    x = jax.random.normal(jax.random.key(0), (6, 5, 7))
    seeds = row_seeds(jax.random.key(2), 6)
    whole = dropout(x, 0.3, seeds)
    assert np.array_equal(dropped(x, 0.3, seeds), whole)
    x, seeds, whole = np.asarray(x), np.asarray(seeds), np.asarray(whole)
    for rows in ([0, 1, 2], [5, 0], [3]):
        assert np.array_equal(dropped(x[rows], 0.3, seeds[rows]), whole[rows])


def test_bits_are_what_they_were():
    """A run that goes on from a checkpoint drops what it would have dropped."""
    seeds = jnp.array([[1, 2], [3, 4]], jnp.uint32)
    mask = np.asarray(dropout(jnp.ones((2, 64)), 0.5, fold_in(seeds, 7)) != 0)
    assert np.packbits(mask).tobytes().hex() == "796a8bd8d595534888bc6a831263cdcf"


def test_gradient_is_the_mask():
    x = jax.random.normal(jax.random.key(0), (3, 50))
    seeds = row_seeds(jax.random.key(0), 3)
    y, pull_back = jax.vjp(lambda x: dropout(x, 0.2, seeds), x)
    [gradient] = pull_back(jnp.ones_like(x))
    np.testing.assert_allclose(gradient, jnp.where(y != 0, 1 / 0.8, 0.0), rtol=1e-6)


def test_bfloat16_drops_the_same_elements():
    x = jnp.ones((3, 50))
    seeds = row_seeds(jax.random.key(0), 3)
    narrow = dropout(x.astype(jnp.bfloat16), 0.2, seeds)
    assert narrow.dtype == jnp.bfloat16
    assert np.array_equal(narrow == 0, dropout(x, 0.2, seeds) == 0)
