"""Rows on their way from tasks to shards: files of fixed-size records sorted by a random key.

Each row gets a 64-bit key, a function of (seed, task, row number). Sorting all rows by key is the
global shuffle; a shard is a range of keys, so that it needs one contiguous slice of every sorted
chunk and never more memory than its own rows. A task's rows lie in a few files, a range of keys
each: a file is given back when the shards of its range are written, and not at the end.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from biobert_jax.files import replacing

CHUNK_BYTES = 16 << 20
# Ranges of keys, a file each, of a task whose rows are more than a few.
NUM_RANGES = 8
SMALL_BYTES = 1 << 20
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


class Spill(NamedTuple):
    """A file of rows with keys of range `part` of `num_parts`, and its chunks' sizes in rows."""

    name: str
    part: int
    num_parts: int
    sizes: list[int]


def write_spills(path: Path, chunks: Iterable[KeyedRows], num_parts: int) -> list[Spill]:
    """Writes chunks, each its keys and then its rows, to a file a range of keys.

    Args:
      path: of the files, whose names get the range's number.
    """
    paths = [path.with_name(f"{path.name}.{part}") for part in range(num_parts)]
    sizes: list[list[int]] = [[] for _ in paths]
    lows = np.array([key_range(part, num_parts)[0] for part in range(num_parts)], np.uint64)
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(replacing(path)) for path in paths]
        for keys, rows in chunks:
            starts = [*np.searchsorted(keys, lows).tolist(), len(keys)]
            for part, file in enumerate(files):
                piece = slice(starts[part], starts[part + 1])
                if piece.start < piece.stop:
                    file.write(keys[piece].tobytes())
                    file.write(rows[piece].tobytes())
                    sizes[part].append(piece.stop - piece.start)
    return [Spill(path.name, part, num_parts, sizes[part]) for part, path in enumerate(paths)]


def key_range(shard: int, num_shards: int) -> tuple[int, int]:
    """The keys of a shard, from the first on and to below the second (2^64 for the last)."""
    return -(-(shard << 64) // num_shards), -(-((shard + 1) << 64) // num_shards)


def overlaps(spill: Spill, shard: int, num_shards: int) -> bool:
    """Whether a spill's range of keys and a shard's have any in common."""
    low, high = key_range(shard, num_shards)
    first, end = key_range(spill.part, spill.num_parts)
    return low < end and first < high


def gather_shard(
    folder: Path, spills: Iterable[Spill], dtype: np.dtype, shard: int, num_shards: int
) -> np.ndarray:
    """All rows of a shard, sorted by key: `num_shards` equal ranges divide the keys."""
    low, high = key_range(shard, num_shards)
    slices: list[tuple[Path, int, np.ndarray]] = []  # file, place of the first row, keys
    for spill in spills:
        if not spill.sizes or not overlaps(spill, shard, num_shards):
            continue
        path, span, start = folder / spill.name, key_range(spill.part, spill.num_parts), 0
        with open(path, "rb", buffering=0) as stream:
            for size in spill.sizes:
                first, keys = _keys_between(stream, start, size, low, high, span)
                rows_start = start + size * KEY_DTYPE.itemsize
                if len(keys):
                    slices.append((path, rows_start + first * dtype.itemsize, keys))
                start = rows_start + size * dtype.itemsize
    if not slices:
        return np.empty(0, dtype)
    keys = np.concatenate([keys for _, _, keys in slices])
    place = np.empty(len(keys), np.int64)
    place[np.argsort(keys, kind="stable")] = np.arange(len(keys))
    # Each row goes where it belongs as it is read: a shard is in memory once.
    rows, done = np.empty(len(keys), dtype), 0
    for path, start, keys in slices:
        with open(path, "rb", buffering=0) as stream:
            stream.seek(start)
            part = np.frombuffer(stream.read(len(keys) * dtype.itemsize), dtype)
        rows[place[done : done + len(keys)]] = part
        done += len(keys)
    return rows


def _keys_between(
    stream: BinaryIO, start: int, size: int, low: int, high: int, span: tuple[int, int]
) -> tuple[int, np.ndarray]:
    """The keys from `low` to below `high` of a chunk's sorted `size` keys, and their first place.

    Keys are uniform over the `span` of their file, so a little around the place where they must lie
    is read, and all of them only if that was not enough.
    """
    slack = 16 + 4 * math.isqrt(size)  # 8 standard deviations
    width = span[1] - span[0]
    begin = max(0, size * (low - span[0]) // width - slack)
    end = min(size, size * (high - span[0]) // width + slack)
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
