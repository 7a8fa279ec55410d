"""Rows on their way from tasks to shards: files of fixed-size records sorted by a random key.

Each row gets a 64-bit key, a function of (seed, task, row number). Sorting all rows by key is the
global shuffle; a shard is a range of keys, so that it needs one contiguous slice of every sorted
chunk and never more memory than its own rows.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from biobert_jax.files import replacing

CHUNK_BYTES = 16 << 20
KEY_DTYPE = np.dtype("<u8")


class KeyedRows(NamedTuple):
    """Rows and their keys, sorted by key: uint64 [n] and a structured array [n]."""

    keys: np.ndarray
    rows: np.ndarray


def sorted_chunks(
    rows: Iterable[NamedTuple], dtype: np.dtype, seed: int, stream: tuple[int, ...]
) -> Iterator[KeyedRows]:
    """Rows with keys, in chunks of bounded size, each sorted.

    Args:
      rows: named tuples whose fields are those of `dtype`.
      stream: numbers that tell this task's keys from those of others.
    """
    generator = np.random.default_rng([seed, *stream])
    capacity = max(1, CHUNK_BYTES // dtype.itemsize)
    chunk = np.empty(capacity, dtype)
    columns = [(name, chunk[name]) for name in dtype.names]

    def flush(count: int) -> KeyedRows:
        keys = generator.integers(0, 2**64, count, dtype=np.uint64)
        order = np.argsort(keys, kind="stable")
        return KeyedRows(keys[order], chunk[:count][order])

    count = 0
    for row in rows:
        for name, column in columns:
            column[count] = getattr(row, name)
        count += 1
        if count == capacity:
            yield flush(count)
            count = 0
    if count:
        yield flush(count)


def write_spill(path: Path, chunks: Iterable[KeyedRows]) -> list[int]:
    """Writes chunks, each its keys and then its rows, whole or not at all.

    Returns:
      The chunks' sizes in rows.
    """
    sizes = []
    with replacing(path) as out:
        for keys, rows in chunks:
            out.write(keys.tobytes())
            out.write(rows.tobytes())
            sizes.append(len(keys))
    return sizes


def key_range(shard: int, num_shards: int) -> tuple[int, int]:
    """The keys of a shard, from the first on and to below the second (2^64 for the last)."""
    return -(-(shard << 64) // num_shards), -(-((shard + 1) << 64) // num_shards)


def gather_shard(
    spills: Iterable[tuple[Path, list[int]]], dtype: np.dtype, shard: int, num_shards: int
) -> np.ndarray:
    """All rows of a shard, sorted by key: `num_shards` equal ranges divide the keys.

    Args:
      spills: files of `write_spill` with their chunk sizes.
    """
    low, high = key_range(shard, num_shards)
    all_keys, parts = [], []
    for path, sizes in spills:
        if not sizes:
            continue
        with open(path, "rb", buffering=0) as stream:
            start = 0
            for size in sizes:
                first, keys = _keys_between(stream, start, size, low, high)
                if len(keys):
                    stream.seek(start + size * KEY_DTYPE.itemsize + first * dtype.itemsize)
                    all_keys.append(keys)
                    parts.append(np.frombuffer(stream.read(len(keys) * dtype.itemsize), dtype))
                start += size * (KEY_DTYPE.itemsize + dtype.itemsize)
    if not parts:
        return np.empty(0, dtype)
    return np.concatenate(parts)[np.argsort(np.concatenate(all_keys), kind="stable")]


def _keys_between(
    stream: BinaryIO, start: int, size: int, low: int, high: int
) -> tuple[int, np.ndarray]:
    """The keys from `low` to below `high` of a chunk's sorted `size` keys, and their first place.

    Keys are uniform, so a little around the place where they must lie is read, and all of them
    only if that was not enough.
    """
    slack = 16 + 4 * math.isqrt(size)  # 8 standard deviations
    begin = max(0, (size * low >> 64) - slack)
    end = min(size, (size * high >> 64) + slack)
    for begin, end in ((begin, end), (0, size)):  # noqa: B020
        stream.seek(start + begin * KEY_DTYPE.itemsize)
        keys = np.frombuffer(stream.read((end - begin) * KEY_DTYPE.itemsize), KEY_DTYPE)
        has_low = begin == 0 or int(keys[0]) < low
        has_high = end == size or int(keys[-1]) >= high
        if has_low and has_high:
            break
    first = int(np.searchsorted(keys, np.uint64(low)))
    last = len(keys) if high >= 2**64 else int(np.searchsorted(keys, np.uint64(high)))
    return begin + first, keys[first:last].copy()
