"""Sentence pairs to full rows: best fit over a bounded pool, no pair cut.

A row of L positions holds several pairs, each `[CLS] A [SEP] B [SEP]`, with its own next-sentence
label. Pairs are never cut, since a cut would change what the label speaks of: a row that nothing
waiting fits is padded.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from biobert_jax.corpus.rows.packing import POOL_SIZE, Pool
from biobert_jax.corpus.rows.pairs import Pair, join_pair
from biobert_jax.corpus.text.tokenization import SpecialTokens

# Positions a pair is counted with at least: what bounds the labels of a row.
MIN_PAIR_POSITIONS = 16
NO_LABEL = -1


class PairRow(NamedTuple):
    """A packed row of pairs. L positions, M = max_pairs(L) labels.

    Attributes:
      input_ids: int32 [L]; [PAD] at the end.
      sequence_ids: int32 [L]; 1, 2, … for the pairs in order, 0 for padding. The [CLS] of a pair
        stands where its number begins.
      token_type_ids: int8 [L]; 0 for `[CLS] A [SEP]` and padding, 1 for `B [SEP]`.
      next_sentence_labels: int8 [M]; entry n - 1 belongs to sequence n: 1 where its B is random,
        0 where B follows A, -1 (`NO_LABEL`) where the row has no such sequence.
    """

    input_ids: np.ndarray
    sequence_ids: np.ndarray
    token_type_ids: np.ndarray
    next_sentence_labels: np.ndarray


def max_pairs(max_seq_length: int) -> int:
    """M, the most pairs a row may hold: one for every 16 positions."""
    return max(1, max_seq_length // MIN_PAIR_POSITIONS)


def pack_pairs(
    pairs: Iterable[Pair],
    max_seq_length: int,
    *,
    special: SpecialTokens,
    pool_size: int = POOL_SIZE,
) -> Iterator[PairRow]:
    """Packs pairs into rows; every pair stands whole in exactly one row.

    Args:
      pairs: each of at most `max_seq_length` positions, special tokens included.
      max_seq_length: L, the length of a row.
      special: the vocabulary's special ids.
      pool_size: pairs that may wait at a time.

    Yields:
      `PairRow`s. The order is a function of the input alone.

    Raises:
      ValueError: a pair longer than a row.
    """
    most = max_pairs(max_seq_length)
    pool = Pool()

    def next_row() -> PairRow:
        members: list[Pair] = []
        space = max_seq_length
        while len(members) < most and (pair := pool.take_longest(space)) is not None:
            members.append(pair)
            space -= len(pair)
        return _build_row(members, max_seq_length, most, special)

    for pair in pairs:
        if len(pair) > max_seq_length:
            raise ValueError(f"a pair of {len(pair)} positions, in rows of {max_seq_length}")
        pool.add(pair)
        while pool.size > pool_size:
            yield next_row()
    while pool.size:
        yield next_row()


def _build_row(
    members: list[Pair], max_seq_length: int, most: int, special: SpecialTokens
) -> PairRow:
    row = PairRow(
        np.full(max_seq_length, special.pad, np.int32),
        np.zeros(max_seq_length, np.int32),
        np.zeros(max_seq_length, np.int8),
        np.full(most, NO_LABEL, np.int8),
    )
    start = 0
    for number, pair in enumerate(members, 1):
        end = start + len(pair)
        row.input_ids[start:end], row.token_type_ids[start:end] = join_pair(
            pair, special.cls, special.sep
        )
        row.sequence_ids[start:end] = number
        row.next_sentence_labels[number - 1] = pair.is_random_next
        start = end
    return row
