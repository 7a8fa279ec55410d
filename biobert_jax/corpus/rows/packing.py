"""Documents to full rows: long ones cut, short ones put together, little cut and little padded.

A row of L positions holds several sequences, each `[CLS] tokens [SEP]`. Best fit over a bounded
pool of waiting documents fills most rows without a cut; where nothing fits, the longest waiting
document is cut at a word's start to fill the row, and its rest waits on. (Cutting little matters:
"Fewer Truncations Improve Language Modeling", Ding et al. 2024.)
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

# A cut leaves at least this many tokens on either side: less is no context to learn from.
MIN_PIECE = 32
# Documents that wait to be placed. More fills better and cuts less; 1024 abstracts are 3 MB.
POOL_SIZE = 1024


class Row(NamedTuple):
    """A packed row.

    Attributes:
      input_ids: int32 [L]; [PAD] at the end.
      sequence_ids: int32 [L]; 1, 2, … for the sequences in order, 0 for padding.
    """

    input_ids: np.ndarray
    sequence_ids: np.ndarray


class Pool:
    """What waits to be placed (anything with a length), by length.

    The longest that fits a space is found in constant time.
    """

    def __init__(self):
        self.size = 0
        self._by_length: dict[int, deque[np.ndarray]] = {}
        self._present = 0  # bit n is set where a piece of length n waits

    def add(self, piece: np.ndarray) -> None:
        self._by_length.setdefault(len(piece), deque()).append(piece)
        self._present |= 1 << len(piece)
        self.size += 1

    def take_longest(self, space: int | None = None) -> np.ndarray | None:
        """Removes the longest piece of at most `space` tokens, the first come among equals."""
        fitting = self._present if space is None else self._present & ((1 << (space + 1)) - 1)
        if not fitting:
            return None
        length = fitting.bit_length() - 1
        pieces = self._by_length[length]
        piece = pieces.popleft()
        if not pieces:
            self._present &= ~(1 << length)
        self.size -= 1
        return piece


def pack(
    documents: Iterable[np.ndarray],
    max_seq_length: int,
    *,
    cls: int,
    sep: int,
    pad: int,
    continuation: np.ndarray,
    pool_size: int = POOL_SIZE,
) -> Iterator[Row]:
    """Packs documents into rows; every token of every document stands in exactly one row.

    Args:
      documents: int arrays of token ids without special tokens; empty ones are passed over.
      max_seq_length: L, the length of a row.
      cls, sep, pad: special ids.
      continuation: bool [vocab_size]; a sequence never starts with such a piece, unless a
        single word is longer than a row.
      pool_size: documents that may wait at a time.

    Yields:
      `Row`s. The order is a function of the input alone.
    """
    capacity = max_seq_length - 2
    if capacity < 1:
        raise ValueError(f"max_seq_length {max_seq_length} leaves no room between [CLS] and [SEP]")
    pool = Pool()

    def next_row() -> Row:
        pieces = [pool.take_longest()]
        space = capacity - len(pieces[0]) - 2
        while space > 0:
            piece = pool.take_longest(space)
            if piece is None:
                piece = _cut_longest(pool, space, continuation)
            if piece is None:
                break
            pieces.append(piece)
            space -= len(piece) + 2
        return _build_row(pieces, max_seq_length, cls, sep, pad)

    for document in documents:
        for piece in _chunks(document, capacity, continuation):
            pool.add(piece)
        while pool.size > pool_size:
            yield next_row()
    while pool.size:
        yield next_row()


def _chunks(document: np.ndarray, capacity: int, continuation: np.ndarray) -> Iterator[np.ndarray]:
    """Cuts a document into pieces of at most `capacity`, at word starts."""
    start = 0
    while len(document) - start > capacity:
        size = _word_start(document[start:], capacity, continuation) or capacity
        yield document[start : start + size]
        start += size
    if start < len(document):
        yield document[start:]


def _word_start(tokens: np.ndarray, index: int, continuation: np.ndarray) -> int:
    """The last word start at or before `index`; 0 where the first word reaches beyond."""
    while index and continuation[tokens[index]]:
        index -= 1
    return index


def _cut_longest(pool: Pool, space: int, continuation: np.ndarray) -> np.ndarray | None:
    """Cuts a piece of at most `space` tokens off the longest waiting document, if it is worth it.

    Called where nothing that waits fits `space`, so that the longest is longer than it.
    """
    if space < MIN_PIECE:
        return None
    longest = pool.take_longest()
    if longest is None:
        return None
    size = _word_start(longest, min(space, len(longest) - MIN_PIECE), continuation)
    if size < MIN_PIECE:
        pool.add(longest)
        return None
    pool.add(longest[size:])
    return longest[:size]


def _build_row(pieces: list[np.ndarray], max_seq_length: int, cls: int, sep: int, pad: int) -> Row:
    input_ids = np.full(max_seq_length, pad, np.int32)
    sequence_ids = np.zeros(max_seq_length, np.int32)
    start = 0
    for number, piece in enumerate(pieces, 1):
        end = start + len(piece) + 2
        input_ids[start] = cls
        input_ids[start + 1 : end - 1] = piece
        input_ids[end - 1] = sep
        sequence_ids[start:end] = number
        start = end
    return Row(input_ids, sequence_ids)
