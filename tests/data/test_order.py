"""The global order: every row once an epoch, the same on any number of hosts, resumable."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.data.order import choose_num_streams, row_order, stream_segments
from biobert_jax.errors import UserError


def read(shard_rows, stream, streams, seed, start, count):
    """The first `count` rows, as (shard, row), that a stream gives from its row `start` on."""
    rows = (
        (segment.shard, row)
        for segment in stream_segments(shard_rows, stream, streams, seed, start)
        for row in range(segment.first_row, shard_rows[segment.shard])
    )
    return list(itertools.islice(rows, count))


shards = st.lists(st.integers(1, 9), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(shards, st.integers(0, 99), st.data())
def test_an_epoch_reads_every_row_once(shard_rows, seed, data):
    streams = data.draw(st.integers(1, len(shard_rows)))
    order = np.random.default_rng([seed, 0]).permutation(len(shard_rows))
    seen = []
    for stream in range(streams):
        first_epoch = sum(shard_rows[s] for s in order[stream::streams])
        seen += read(shard_rows, stream, streams, seed, 0, first_epoch)
    assert sorted(seen) == [(s, r) for s, n in enumerate(shard_rows) for r in range(n)]


@settings(max_examples=60, deadline=None)
@given(shards, st.integers(0, 99), st.integers(0, 120))
def test_seeking_gives_what_reading_on_would(shard_rows, seed, start):
    streams = min(2, len(shard_rows))
    whole = read(shard_rows, 0, streams, seed, 0, start + 30)
    assert read(shard_rows, 0, streams, seed, start, 30) == whole[start:]


def test_epochs_and_seeds_differ():
    rows = [1] * 30
    first = read(rows, 0, 1, 0, 0, 60)
    assert first[:30] != first[30:] and sorted(first[:30]) == sorted(first[30:])
    assert first != read(rows, 0, 1, 1, 0, 60)


def test_number_of_streams():
    assert choose_num_streams(8, 16) == 8
    assert choose_num_streams(7, 16) == 4
    assert choose_num_streams(100, 6) == 2
    assert choose_num_streams(1, 16) == 1
    with pytest.raises(UserError, match="8 shards"):
        choose_num_streams(8, 16, 16)
    with pytest.raises(UserError, match="does not divide"):
        choose_num_streams(8, 16, 3)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 9))
def test_rows_in_memory_come_in_permutations(num_rows, batch_size, seed):
    steps = -(-2 * num_rows // batch_size)
    rows = np.concatenate([row_order(num_rows, batch_size, seed, step) for step in range(steps)])
    assert sorted(rows[:num_rows]) == list(range(num_rows))
    assert sorted(rows[num_rows : 2 * num_rows]) == list(range(num_rows))
