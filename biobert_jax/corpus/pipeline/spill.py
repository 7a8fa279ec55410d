"""Rows on their way from tasks to shards: files of fixed-size records sorted by a random key.

Each row gets a 64-bit key, a function of (seed, task, row number). Sorting all rows by key is the
global shuffle; a shard is a range of keys, so that it needs one contiguous slice of every sorted
chunk and never more memory than its own rows.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from biobert_jax.corpus.dataset.records import SEQUENCE_DTYPE, id_dtype
from biobert_jax.corpus.rows.packing import Row
from biobert_jax.files import write_text_atomically

CHUNK_BYTES = 32 << 20


def row_dtype(max_seq_length: int, vocab_size: int) -> np.dtype:
    """The record of a spilled row: its key and its two arrays."""
    return np.dtype(
        [
            ("key", "<u8"),
            ("input_ids", id_dtype(vocab_size), (max_seq_length,)),
            ("sequence_ids", SEQUENCE_DTYPE, (max_seq_length,)),
        ]
    )


def write_spill(
    path: Path, rows: Iterable[Row], dtype: np.dtype, seed: int, stream: tuple[int, ...]
) -> list[int]:
    """Writes rows in chunks, each sorted by key, and returns the chunks' sizes in rows.

    Args:
      path: written under a temporary name and renamed when whole.
      stream: numbers that tell this task's keys from those of others.
    """
    generator = np.random.default_rng([seed, *stream])
    capacity = max(1, CHUNK_BYTES // dtype.itemsize)
    chunk = np.empty(capacity, dtype)
    sizes: list[int] = []
    temporary = path.with_name(path.name + ".tmp")

    def flush(out, count):
        block = chunk[:count]
        block["key"] = generator.integers(0, 2**64, count, dtype=np.uint64)
        block[np.argsort(block["key"], kind="stable")].tofile(out)
        sizes.append(count)

    with open(temporary, "wb") as out:
        count = 0
        for row in rows:
            chunk[count]["input_ids"] = row.input_ids
            chunk[count]["sequence_ids"] = row.sequence_ids
            count += 1
            if count == capacity:
                flush(out, count)
                count = 0
        if count:
            flush(out, count)
        out.flush()
        os.fsync(out.fileno())
    os.replace(temporary, path)
    return sizes


def gather_shard(
    spills: Iterable[tuple[Path, list[int]]], dtype: np.dtype, shard: int, num_shards: int
) -> np.ndarray:
    """All rows of a shard, sorted by key: `num_shards` equal ranges divide the keys.

    Args:
      spills: files of `write_spill` with their chunk sizes.
    """
    low = -(-(shard << 64) // num_shards)
    high = -(-((shard + 1) << 64) // num_shards)  # exclusive; 2**64 for the last
    parts = []
    for path, sizes in spills:
        if not sizes:
            continue
        records = np.memmap(path, dtype, "r")
        start = 0
        for size in sizes:
            keys = records["key"][start : start + size]
            first = int(np.searchsorted(keys, np.uint64(low)))
            last = size if high >= 2**64 else int(np.searchsorted(keys, np.uint64(high)))
            parts.append(np.array(records[start + first : start + last]))
            start += size
    rows = np.concatenate(parts) if parts else np.empty(0, dtype)
    return rows[np.argsort(rows["key"], kind="stable")]


def write_result(path: Path, result: dict) -> None:
    """Marks a task as finished: its result as JSON, in one step."""
    write_text_atomically(path, json.dumps(result))


def read_result(path: Path) -> dict | None:
    """A finished task's result; None where it is not finished."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
