"""Long sentences in overlapping windows, and windows of many sentences in full rows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Window(NamedTuple):
    """Words [start, end) of a sentence, of which [first, last) are labelled here.

    The labelled parts of a sentence's windows cover each word exactly once, where it has most
    context; the others are context.
    """

    start: int
    end: int
    first: int
    last: int


def cut_windows(lengths: Sequence[int], capacity: int) -> list[Window]:
    """Cuts a sentence into windows of at most `capacity` pieces, each half over the next.

    Args:
      lengths: pieces of each word, each from 1 to `capacity`.
      capacity: pieces a window holds, without [CLS] and [SEP].

    Returns:
      Windows in order; one where the sentence fits, none for no words.
    """
    ends = np.cumsum(lengths)
    if len(ends) == 0:
        return []
    if ends[-1] <= capacity:
        return [Window(0, len(ends), 0, len(ends))]
    spans = []
    start = 0
    while True:
        before = ends[start - 1] if start else 0
        end = int(np.searchsorted(ends, before + capacity, side="right"))
        spans.append((start, end))
        if end == len(ends):
            break
        # Go on from the middle of this window, and at least one word further.
        middle = int(np.searchsorted(ends, before + capacity // 2, side="right"))
        start = min(max(middle, start + 1), end)
    # Two windows share a stretch of words: its first half is labelled in the earlier one.
    borders = [0]
    for (_, end), (start, _) in zip(spans, spans[1:], strict=False):
        borders.append((start + end + 1) // 2)
    borders.append(len(ends))
    return [
        Window(start, end, first, last)
        for (start, end), first, last in zip(spans, borders[:-1], borders[1:], strict=True)
    ]


def best_fit(lengths: Sequence[int], capacity: int, order: Sequence[int]) -> np.ndarray:
    """Deals items to rows: each, in `order`, to the fullest row with space, else to a new one.

    Args:
      lengths: of the items, each from 1 to `capacity`.
      order: in which the items are placed; a shuffled one mixes rows.

    Returns:
      int64, the row of each item; rows are numbered from 0.
    """
    rows = np.empty(len(lengths), np.int64)
    spaces = np.full(len(lengths), capacity, np.int64)
    used = 0
    for item in order:
        open_spaces = spaces[:used]
        fitting = np.flatnonzero(open_spaces >= lengths[item])
        if len(fitting):
            row = fitting[np.argmin(open_spaces[fitting])]
        else:
            row, used = used, used + 1
        spaces[row] -= lengths[item]
        rows[item] = row
    return rows
