"""Packing: nothing lost, nothing split inside a word, rows nearly full."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.corpus.rows.packing import MIN_PIECE, pack

CLS, SEP, PAD = 101, 102, 0
VOCAB = 300
# Odd ids from 200 on continue a word.
CONTINUATION = np.array([i >= 200 and i % 2 == 1 for i in range(VOCAB)])


def rows_of(documents, length, pool_size=64):
    return list(
        pack(
            [np.array(d, np.int32) for d in documents],
            length,
            cls=CLS,
            sep=SEP,
            pad=PAD,
            continuation=CONTINUATION,
            pool_size=pool_size,
        )
    )


def sequences_of(row):
    """The row's sequences without their special tokens, after checking its form."""
    found = []
    ids, numbers = row
    count = int(numbers.max())
    real = numbers > 0
    assert not np.any(real[np.argmin(real) :]) or real.all(), "padding stands at the end"
    assert np.all(ids[~real] == PAD)
    for number in range(1, count + 1):
        sequence = ids[numbers == number]
        assert np.all(np.diff(np.flatnonzero(numbers == number)) == 1)
        assert sequence[0] == CLS and sequence[-1] == SEP and len(sequence) > 2
        found.append(sequence[1:-1])
    return found


documents_strategy = st.lists(
    st.lists(st.integers(103, VOCAB - 1), max_size=200), min_size=1, max_size=40
)


@settings(max_examples=60, deadline=None)
@given(documents_strategy, st.integers(8, 130), st.integers(0, 20))
def test_every_token_stands_in_exactly_one_sequence(documents, length, pool_size):
    rows = rows_of(documents, length, pool_size)
    pieces = [piece for row in rows for piece in sequences_of(row)]
    assert sum(map(len, pieces)) == sum(map(len, documents))
    tokens = np.sort(np.concatenate([*pieces, np.empty(0, np.int32)]))
    expected = np.sort(np.array([t for d in documents for t in d], np.int32))
    np.testing.assert_array_equal(tokens, expected)
    assert all(row.input_ids.shape == row.sequence_ids.shape == (length,) for row in rows)


def test_pieces_are_contiguous_parts_of_their_documents_in_order():
    rng = np.random.default_rng(0)
    # Each document has ids of its own parity class: text is recognised by its first token.
    documents = [np.concatenate([[103 + n], rng.integers(200, 300, 150)]) for n in range(20)]
    joined = [",".join(map(str, d)) for d in documents]
    for row in rows_of(documents, 64):
        for piece in sequences_of(row):
            text = ",".join(map(str, piece))
            assert any(text in document for document in joined)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from([150, 151, 152, 201, 203]), min_size=1, max_size=150), max_size=20
    )
)
def test_no_sequence_starts_inside_a_word(documents):
    starts = {tuple(d[:1]) for d in documents}
    longest_word = max((_longest_word(d) for d in documents), default=0)
    for row in rows_of(documents, 60):
        for piece in sequences_of(row):
            if CONTINUATION[piece[0]] and longest_word <= 58:
                assert (int(piece[0]),) in starts  # only a document that itself starts so


def _longest_word(document):
    longest = current = 0
    for token in document:
        current = current + 1 if CONTINUATION[token] else 1
        longest = max(longest, current)
    return longest


def test_rows_are_full_where_documents_are_like_abstracts():
    rng = np.random.default_rng(1)
    lengths = np.clip(rng.lognormal(5.6, 0.5, 3000).astype(int), 5, 2000)
    rows = rows_of([rng.integers(103, 200, n) for n in lengths], 512, pool_size=1024)
    fill = np.mean([np.count_nonzero(row.sequence_ids) / 512 for row in rows])
    assert fill > 0.98
    sequences = sum(int(row.sequence_ids.max()) for row in rows)
    # Few documents are cut beyond what their length demands.
    needed = sum(-(-n // 510) for n in lengths)
    assert sequences < 1.35 * needed


def test_a_cut_leaves_pieces_worth_learning_from():
    documents = [list(range(103, 103 + 50))] * 9
    for row in rows_of(documents, 128):
        assert all(len(piece) >= min(MIN_PIECE, 50) for piece in sequences_of(row))


def test_a_row_too_short_is_refused():
    with pytest.raises(ValueError, match="max_seq_length 2"):
        rows_of([[150]], 2)
