"""Rows: every sequence is there once, whole, and values find their way back."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.corpus.text.tokenization import SpecialTokens
from biobert_jax.tasks.rows import NO_TARGET, pack

SPECIAL = SpecialTokens(0, 1, 2, 3, 4)
LISTS = st.lists(st.lists(st.integers(5, 99), min_size=1, max_size=16), max_size=30)


@settings(max_examples=200, deadline=None)
@given(LISTS, st.one_of(st.none(), st.integers(0, 9)), st.data())
def test_values_find_their_way_back(sequences, seed, data):
    second = [data.draw(st.integers(0, len(ids))) for ids in sequences]
    rows = pack(sequences, 16, SPECIAL, second=second, seed=seed)
    for number, ids in enumerate(sequences):
        row, start = rows.position(np.array(number), np.array(0))
        part = slice(start, start + len(ids))
        assert rows.input_ids[row, part].tolist() == ids
        assert set(rows.sequence_ids[row, part].tolist()) == {int(rows.numbers[number]) + 1}
        kinds = [0] * second[number] + [1] * (len(ids) - second[number])
        assert rows.token_type_ids[row, part].tolist() == kinds
    assert np.count_nonzero(rows.sequence_ids) == sum(map(len, sequences))
    assert (rows.input_ids[rows.sequence_ids == 0] == SPECIAL.pad).all()
    values = np.arange(2 * len(sequences)).reshape(-1, 2)
    placed = rows.of_sequences(values)
    assert placed.shape == (len(rows), rows.sequences_a_row, 2)
    assert np.array_equal(rows.by_sequence(placed), values)
    assert np.count_nonzero(placed[..., 0] == NO_TARGET) == placed[..., 0].size - len(sequences)
    starts = rows.starts()
    assert all(
        starts[row, k] == offset
        for row, k, offset in zip(rows.places, rows.numbers, rows.offsets, strict=True)
    )
