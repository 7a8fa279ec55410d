"""How many held-out documents have a near twin among the training ones."""

from collections.abc import Sequence

import numpy as np

from biobert_jax.corpus.pipeline.encoded import BAND_DTYPE, read_index
from biobert_jax.corpus.pipeline.resolve import KEPT
from biobert_jax.corpus.pipeline.tasks import Task, task_path


def count_twins(tasks: Sequence[Task], verdicts: Sequence[np.ndarray], work: str) -> int:
    """Held-out documents, of those kept, that share a band with a training one.

    The bands of the held-out documents are in memory, one of each at a time (8 bytes a document),
    and the training ones stream by.
    """
    is_held = [read_index(task_path(work, task, "index"))["held_out"] for task in tasks]
    held = [(verdict == KEPT) & side for verdict, side in zip(verdicts, is_held, strict=True)]
    train = [(verdict == KEPT) & ~side for verdict, side in zip(verdicts, is_held, strict=True)]
    is_twin = np.zeros(sum(map(np.count_nonzero, held)), bool)
    if not len(is_twin):
        return 0
    for band in range(_num_bands(tasks, verdicts, work)):

        def keys(place: int, chosen: np.ndarray, band: int = band) -> np.ndarray:
            stored = np.memmap(task_path(work, tasks[place], "bands"), BAND_DTYPE, "r")
            return stored.reshape(len(chosen), -1)[chosen, band]

        wanted = np.concatenate([keys(i, chosen) for i, chosen in enumerate(held) if chosen.any()])
        distinct, number = np.unique(wanted, return_inverse=True)
        is_met = np.zeros(len(distinct), bool)
        for place, chosen in enumerate(train):
            if chosen.any():
                passing = keys(place, chosen)
                found = np.minimum(np.searchsorted(distinct, passing), len(distinct) - 1)
                is_met[found[distinct[found] == passing]] = True
        is_twin |= is_met[number]
    return int(np.count_nonzero(is_twin))


def _num_bands(tasks: Sequence[Task], verdicts: Sequence[np.ndarray], work: str) -> int:
    for task, verdict in zip(tasks, verdicts, strict=True):
        if len(verdict):
            size = task_path(work, task, "bands").stat().st_size
            return size // (BAND_DTYPE.itemsize * len(verdict))
    return 0
