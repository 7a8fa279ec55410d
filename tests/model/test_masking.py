"""Masking: counts, candidates, shares, and that it is a pure function of its key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.config import MaskingConfig
from biobert_jax.errors import UserError
from biobert_jax.model.masking import SpecialIds, mask_rows, num_predictions

SPECIAL = SpecialIds(vocab_size=1000, cls=2, sep=3, mask=4)


def make_rows(lengths_of_rows, length=32, seed=0):
    rng = np.random.default_rng(seed)
    ids = np.zeros((len(lengths_of_rows), length), np.int32)
    sequence_ids = np.zeros_like(ids)
    for row, lengths in enumerate(lengths_of_rows):
        start = 0
        for number, size in enumerate(lengths, 1):
            ids[row, start : start + size] = rng.integers(5, SPECIAL.vocab_size, size)
            ids[row, start], ids[row, start + size - 1] = SPECIAL.cls, SPECIAL.sep
            sequence_ids[row, start : start + size] = number
            start += size
    return ids, sequence_ids


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(3, 10), max_size=3), min_size=2, max_size=2),
    st.integers(0, 2**31),
    st.sampled_from([0.15, 0.4]),
)
def test_what_is_masked(lengths, seed, rate):
    config = MaskingConfig(rate=rate)
    ids, sequence_ids = make_rows(lengths)
    masked = mask_rows(
        jax.random.key(seed), jnp.array(ids), jnp.array(sequence_ids), SPECIAL, config
    )
    count = num_predictions(ids.shape[1], rate)
    assert masked.positions.shape == masked.labels.shape == masked.weights.shape == (2, count)
    out, positions, labels, weights = (np.asarray(x) for x in masked)
    for row in range(2):
        chosen = positions[row][weights[row] > 0]
        real = int((sequence_ids[row] > 0).sum())
        candidates = np.flatnonzero((sequence_ids[row] > 0) & ~np.isin(ids[row], (2, 3)))
        expected = max(1, int(np.round(np.float32(rate) * real))) if real else 0
        assert len(chosen) == min(expected, count, len(candidates))
        assert len(set(chosen.tolist())) == len(chosen)
        assert set(chosen) <= set(candidates)
        np.testing.assert_array_equal(labels[row], ids[row][positions[row]])
        untouched = np.setdiff1d(np.arange(ids.shape[1]), chosen)
        np.testing.assert_array_equal(out[row][untouched], ids[row][untouched])


def test_shares_of_replacements():
    ids, sequence_ids = make_rows([[32]] * 4000)
    masked = mask_rows(
        jax.random.key(0), jnp.array(ids), jnp.array(sequence_ids), SPECIAL, MaskingConfig()
    )
    at = np.take_along_axis(np.asarray(masked.input_ids), np.asarray(masked.positions), 1)
    labels, used = np.asarray(masked.labels), np.asarray(masked.weights) > 0
    assert used.mean() == 1.0
    hidden, kept = (at == SPECIAL.mask)[used], (at == labels)[used]
    # 20,000 draws: three standard deviations are below one percent.
    assert abs(hidden.mean() - 0.8) < 0.01
    assert abs(kept.mean() - 0.1) < 0.01
    # Every position between the special ones is equally likely.
    places = np.bincount(np.asarray(masked.positions)[used], minlength=32)
    assert places[0] == places[31] == 0
    expected = used.sum() / 30
    assert np.abs(places[1:31] - expected).max() < 5 * np.sqrt(expected)


def test_same_key_same_masks_and_other_key_other_masks():
    ids, sequence_ids = make_rows([[10, 12], [32]])
    call = jax.jit(lambda key: mask_rows(key, ids, sequence_ids, SPECIAL, MaskingConfig()))
    first, again, other = call(jax.random.key(1)), call(jax.random.key(1)), call(jax.random.key(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.positions, other.positions)


@pytest.mark.parametrize(
    "values", [{"rate": 0.0}, {"rate": 1.5}, {"mask_fraction": 0.9, "random_fraction": 0.2}]
)
def test_impossible_settings_are_refused(values):
    with pytest.raises(UserError, match="masking"):
        MaskingConfig(**values)
