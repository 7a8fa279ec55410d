"""Spilled rows: every row in one shard, whatever the keys and the number of shards."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.corpus.pipeline import spill
from biobert_jax.corpus.pipeline.spill import (
    KeyedRows,
    Spill,
    gather_shard,
    key_range,
    overlaps,
    sorted_chunks,
    write_spills,
)

DTYPE = np.dtype([("value", "<i4", (2,))])


class Pair(NamedTuple):
    value: tuple[int, int]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 3000),
    st.integers(1, 40),
    st.integers(1, 900),
    st.integers(0, 5),
    st.sampled_from([1, 3, 8]),
)
def test_shards_divide_the_rows_and_are_in_the_order_of_keys(
    tmp_path_factory, count, num_shards, chunk, seed, num_parts
):
    path = tmp_path_factory.mktemp("spill") / "rows"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "CHUNK_BYTES", chunk * DTYPE.itemsize)
        chunks = list(sorted_chunks((Pair((n, -n)) for n in range(count)), DTYPE, seed, (1, 0)))
    spills = write_spills(path, chunks, num_parts)
    sizes = [size for spill in spills for size in spill.sizes]
    assert sum(sizes) == count and max(sizes, default=0) <= chunk
    shards = [gather_shard(path.parent, spills, DTYPE, i, num_shards) for i in range(num_shards)]
    found = np.concatenate([s["value"][:, 0] for s in shards])
    keys = np.concatenate([c.keys for c in chunks]) if chunks else np.zeros(0)
    rows = np.concatenate([c.rows["value"][:, 0] for c in chunks]) if chunks else np.zeros(0)
    np.testing.assert_array_equal(found, rows[np.argsort(keys, kind="stable")])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=300),
    st.integers(1, 9),
    st.sampled_from([1, 8]),
)
def test_keys_that_are_not_uniform_are_found_too(tmp_path_factory, keys, num_shards, num_parts):
    path = tmp_path_factory.mktemp("spill") / "rows"
    keys = np.sort(np.array(keys, np.uint64))
    rows = np.zeros(len(keys), DTYPE)
    rows["value"][:, 0] = np.arange(len(keys))
    spills = write_spills(path, [KeyedRows(keys, rows)], num_parts)
    for shard in range(num_shards):
        found = gather_shard(path.parent, spills, DTYPE, shard, num_shards)["value"][:, 0]
        expected = [n for n, k in enumerate(keys.tolist()) if (k * num_shards) >> 64 == shard]
        assert found.tolist() == expected


@given(st.integers(1, 40), st.integers(1, 8))
def test_every_shard_has_its_keys_in_the_ranges_that_overlap_it(num_shards, num_parts):
    for shard in range(num_shards):
        low, high = key_range(shard, num_shards)
        for part in range(num_parts):
            first, end = key_range(part, num_parts)
            has_common = max(low, first) < min(high, end)
            assert overlaps(Spill("", part, num_parts, []), shard, num_shards) == has_common
