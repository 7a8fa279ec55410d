"""The global order of rows: a pure function of (seed, step), the same on any number of hosts.

Rows come in shards: TFRecord files, or blocks of an array's rows. They are dealt to V virtual
streams: in epoch e the shards are permuted by (seed, e) and stream v takes every V-th from the v-th
on; a stream that has read its shards goes on to its next epoch. A batch of B rows is B / V rows of
each stream, stream by stream; a host reads the streams it is dealt, so no two hosts read one row
and the batch does not depend on how many there are. Resuming at step i seeks to row i * B / V of
each stream.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from biobert_jax.errors import UserError

MAX_STREAMS = 64


class Segment(NamedTuple):
    """Read `shard` (an index) from row `first_row` to its end."""

    shard: int
    first_row: int


def choose_num_streams(num_shards: int, batch_size: int, requested: int = 0) -> int:
    """V: as requested, else the largest power of two that divides B and that the shards allow.

    Raises:
      UserError: `requested` is more than there are shards, or does not divide the batch.
    """
    if requested:
        if requested > num_shards:
            raise UserError(
                f"data.num_streams is {requested}, but the data set has {num_shards} shards "
                "(files, or blocks of arrays): prepare it with more --shards, or lower "
                "data.num_streams"
            )
        if batch_size % requested:
            raise UserError(
                f"data.num_streams {requested} does not divide the batch of {batch_size} rows"
            )
        return requested
    streams = 1
    while 2 * streams <= min(num_shards, MAX_STREAMS) and batch_size % (2 * streams) == 0:
        streams *= 2
    return streams


def stream_segments(
    shard_rows: Sequence[int], stream: int, num_streams: int, seed: int, start_row: int
) -> Iterator[Segment]:
    """The segments that a stream reads from its row `start_row` on, without end.

    Args:
      shard_rows: rows of each shard, none 0.
      stream: v in [0, num_streams).
    """
    epoch = 0
    remaining = start_row
    while True:
        order = np.random.default_rng([seed, epoch]).permutation(len(shard_rows))
        for shard in order[stream::num_streams].tolist():
            if remaining >= shard_rows[shard]:
                remaining -= shard_rows[shard]
                continue
            yield Segment(shard, remaining)
            remaining = 0
        epoch += 1


def row_order(num_rows: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """The rows of batch `step` of a data set in memory: epochs of permutations, end to end.

    int64 [batch_size]; a batch may span two epochs.
    """
    first = step * batch_size
    rows = np.arange(first, first + batch_size)
    epochs, places = rows // num_rows, rows % num_rows
    result = np.empty(batch_size, np.int64)
    for epoch in np.unique(epochs):
        order = np.random.default_rng([seed, int(epoch)]).permutation(num_rows)
        chosen = epochs == epoch
        result[chosen] = order[places[chosen]]
    return result
