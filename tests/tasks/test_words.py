"""Sentences in packed rows, and rows in batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.corpus.text.tokenization import SpecialTokens
from biobert_jax.tasks.forward import cut_batches
from biobert_jax.tasks.words import pack_sentences

SPECIAL = SpecialTokens(pad=0, unk=1, cls=2, sep=3, mask=4)


@pytest.mark.parametrize(("words", "length"), [(5, 16), (14, 16), (15, 32), (60, 64), (200, 64)])
def test_rows_are_as_long_as_the_longest_window_asks(words, length):
    sentences = [[[9]] * words, [[8]]]
    rows = pack_sentences(sentences, 64, SPECIAL, row_lengths=(16, 32))
    assert rows.rows.input_ids.shape[1] == length
    found = rows.rows.input_ids[rows.word_rows, rows.word_positions]
    assert found.tolist() == [9] * words + [8]
    same = pack_sentences(sentences, 64, SPECIAL)
    assert same.rows.input_ids.shape[1] == 64
    assert np.count_nonzero(same.rows.sequence_ids) == np.count_nonzero(rows.rows.sequence_ids)


def test_no_sentences_make_no_rows():
    assert pack_sentences([], 64, SPECIAL, row_lengths=(16,)).rows.input_ids.shape[0] == 0


@pytest.mark.parametrize(
    ("rows", "sizes"),
    [
        (0, []),
        (1, [1]),
        (3, [1, 1, 1]),
        (6, [8]),
        (9, [8, 1]),
        (20, [8, 8, 1, 1, 1, 1]),
        (23, [32]),
        (70, [32, 32, 8]),
    ],
)
def test_batches_hold_little_padding(rows, sizes):
    assert [size for _, size in cut_batches(rows, (1, 8, 32))] == sizes


@given(st.integers(0, 300), st.sets(st.integers(1, 40), min_size=1))
def test_batches_hold_every_row_once(rows, sizes):
    end = 0
    for start, size in cut_batches(rows, sorted(sizes)):
        assert start == end < rows and size in sizes
        end = start + size
    assert end >= rows
