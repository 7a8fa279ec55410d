"""Counts that can be added up: histograms of lengths, by buckets that every task shares."""

from collections.abc import Mapping

import numpy as np

# Buckets are exact up to 16 and then four to a doubling: bucket i holds EDGES[i] <= n < EDGES[i+1].
# The last one, from 2^24 on, is open.
EDGES = np.unique(
    np.concatenate([np.arange(17), np.round(16 * 2 ** (np.arange(1, 81) / 4))]).astype(np.int64)
)


class Histogram:
    """How often numbers from 0 on occur, by buckets; `counts` maps a bucket's start to a count."""

    def __init__(self, counts: Mapping[str, int] | None = None):
        self.counts: dict[str, int] = dict(counts or {})

    def add(self, number: int, times: int = 1) -> None:
        """Counts one number."""
        start = str(EDGES[np.searchsorted(EDGES, number, "right") - 1])
        self.counts[start] = self.counts.get(start, 0) + times

    def add_all(self, numbers: np.ndarray) -> None:
        """Counts an integer array's numbers."""
        buckets = np.bincount(np.searchsorted(EDGES, numbers, "right") - 1)
        for bucket in np.flatnonzero(buckets).tolist():
            start = str(EDGES[bucket])
            self.counts[start] = self.counts.get(start, 0) + int(buckets[bucket])

    def merge(self, counts: Mapping[str, int]) -> None:
        """Adds another histogram's counts."""
        for start, count in counts.items():
            self.counts[start] = self.counts.get(start, 0) + count
