"""Masking: counts, candidates, shares, whole words, and that it is a function of its key alone."""

from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.config import MaskingConfig
from biobert_jax.corpus.text.tokenization import load_tokenizer
from biobert_jax.errors import UserError
from biobert_jax.model import masking
from biobert_jax.model.masking import SpecialIds, mask_rows, num_predictions

SPECIAL = SpecialIds(vocab_size=1000, cls=2, sep=3, mask=4)
WHOLE_WORD = MaskingConfig(whole_word=True)
# The upper half of the vocabulary continues words.
CONTINUES = np.arange(SPECIAL.vocab_size) >= 500
mask = jax.jit(mask_rows, static_argnums=(3, 4))
# To be traced with more passes: what is compiled for `mask` would be taken for it too.
mask_thoroughly = jax.jit(lambda *args: mask_rows(*args), static_argnums=(3, 4))


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
    masked = mask(jax.random.key(seed), jnp.array(ids), jnp.array(sequence_ids), SPECIAL, config)
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
    masked = mask(
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

    def call(seed):
        return mask(jax.random.key(seed), ids, sequence_ids, SPECIAL, MaskingConfig())

    first, again, other = call(1), call(1), call(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.positions, other.positions)


@pytest.mark.parametrize(
    "values", [{"rate": 0.0}, {"rate": 1.5}, {"mask_fraction": 0.9, "random_fraction": 0.2}]
)
def test_impossible_settings_are_refused(values):
    with pytest.raises(UserError, match="masking"):
        MaskingConfig(**values)


def words_of(ids, sequence_ids):
    """The words of one row as lists of positions, by a loop over its tokens."""
    words = []
    for place, token in enumerate(ids):
        if sequence_ids[place] == 0 or token in (SPECIAL.cls, SPECIAL.sep):
            continue
        joins = words and words[-1][-1] == place - 1
        joins = joins and sequence_ids[place] == sequence_ids[place - 1]
        if CONTINUES[token] and joins:
            words[-1].append(place)
        else:
            words.append([place])
    return words


def upstream_choice(words, order, wanted):
    """The loop of `create_masked_lm_predictions` over words in the order of their first piece."""
    chosen = []
    for word in sorted(words, key=lambda word: order[word[0]]):
        if len(chosen) + len(word) <= wanted:
            chosen.extend(word)
    return sorted(chosen)


def make_words(num_rows, length, seed=0):
    """Full rows of two sequences; 4 in 10 of their tokens continue words."""
    rng = np.random.default_rng(seed)
    ids = np.where(
        rng.random((num_rows, length)) < 0.6,
        rng.integers(5, 500, (num_rows, length)),
        rng.integers(500, SPECIAL.vocab_size, (num_rows, length)),
    ).astype(np.int32)
    half = length // 2
    ids[:, [0, half]], ids[:, [half - 1, -1]] = SPECIAL.cls, SPECIAL.sep
    sequence_ids = np.broadcast_to(1 + (np.arange(length) >= half), ids.shape).astype(np.int32)
    return ids, sequence_ids


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(3, 12), max_size=2), min_size=2, max_size=2),
    st.integers(0, 2**31),
    st.sampled_from([0.15, 0.5]),
    st.sampled_from([0.1, 0.5, 0.9]),
)
def test_whole_words_are_upstreams_choice(lengths, seed, rate, continued):
    ids, sequence_ids = make_rows(lengths, seed=seed)
    rng = np.random.default_rng(seed)
    ordinary = ids >= 5
    ids[ordinary] %= 495
    ids[ordinary] += np.where(rng.random(ordinary.sum()) < continued, 500, 5).astype(np.int32)
    key, config = jax.random.key(seed), MaskingConfig(rate=rate, whole_word=True)
    with mock.patch.object(masking, "PASSES", 16):
        masked = mask_thoroughly(key, ids, sequence_ids, SPECIAL, config, CONTINUES)
    order = np.asarray(masking._random_order(jax.random.split(key, 3)[0], ids.shape))
    out, positions, labels, weights = (np.asarray(x) for x in masked)
    for row in range(2):
        real = int((sequence_ids[row] > 0).sum())
        wanted = max(1, int(np.round(np.float32(rate) * real)))
        expected = upstream_choice(words_of(ids[row], sequence_ids[row]), order[row], wanted)
        assert positions[row][weights[row] > 0].tolist() == expected
        np.testing.assert_array_equal(labels[row], ids[row][positions[row]])
        untouched = np.setdiff1d(np.arange(ids.shape[1]), expected)
        np.testing.assert_array_equal(out[row][untouched], ids[row][untouched])


def test_whole_words_meet_the_rate_and_the_shares():
    ids, sequence_ids = make_words(400, 256)
    masked = mask(jax.random.key(0), ids, sequence_ids, SPECIAL, WHOLE_WORD, CONTINUES)
    at = np.take_along_axis(np.asarray(masked.input_ids), np.asarray(masked.positions), 1)
    labels, used = np.asarray(masked.labels), np.asarray(masked.weights) > 0
    assert used.mean() > 0.999
    # 15,000 draws: three standard deviations are one percent at 0.8, less at 0.1.
    assert abs((at == SPECIAL.mask)[used].mean() - 0.8) < 0.01
    assert abs((at == labels)[used].mean() - 0.1) < 0.01
    # Long words come as often as short ones, but for the last that did not fit.
    hidden = np.zeros(ids.shape, bool)
    np.put_along_axis(hidden, np.asarray(masked.positions), used, axis=1)
    hidden_words, words = np.zeros(8), np.zeros(8)
    for row in range(len(ids)):
        for word in words_of(ids[row], sequence_ids[row]):
            assert hidden[row, word].all() or not hidden[row, word].any()
            if len(word) < 8:
                words[len(word)] += 1
                hidden_words[len(word)] += hidden[row, word[0]]
    shares = hidden_words[1:4] / words[1:4]
    np.testing.assert_allclose(shares, 0.15, atol=0.015)


def test_word_longer_than_what_is_wanted_is_never_hidden():
    ids, sequence_ids = make_rows([[10], [12, 3]])
    ids[:, :] = np.where(ids >= 5, 700, ids)
    masked = mask(jax.random.key(0), ids, sequence_ids, SPECIAL, WHOLE_WORD, CONTINUES)
    # 1.5 and 2.25 of the tokens are wanted: row 0 is one word of 8, row 1 has one of 10 and of 1.
    weights, positions = np.asarray(masked.weights), np.asarray(masked.positions)
    assert weights.sum(axis=1).tolist() == [0, 1]
    assert positions[1][weights[1] > 0].tolist() == [13]
    np.testing.assert_array_equal(masked.input_ids[0], ids[0])


def test_words_of_a_vocabulary(tmp_path):
    path = tmp_path / "vocab.txt"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "gene", "hepat", "##itis", "##o", "."]
    path.write_text("\n".join(tokens) + "\n")
    tokenizer = load_tokenizer(path)
    special = SpecialIds(tokenizer.vocab_size, *tokenizer.special[2:])
    text = np.concatenate([[special.cls], tokenizer.encode("hepatitis gene."), [special.sep]])
    # rate * 6 = 2: the word of two pieces, or both of the others.
    rows = np.broadcast_to(text.astype(np.int32), (50, 6))
    config = MaskingConfig(rate=1 / 3, whole_word=True)
    masked = mask(
        jax.random.key(0), rows, np.ones_like(rows), special, config, tokenizer.continuation_table()
    )
    found = {tuple(row) for row in np.asarray(masked.positions).tolist()}
    assert found == {(1, 2), (3, 4)} and np.asarray(masked.weights).all()


def test_whole_words_need_a_table():
    with pytest.raises(ValueError, match="whole_word"):
        mask_rows(jax.random.key(0), *make_rows([[5]]), SPECIAL, WHOLE_WORD)
