"""Which documents count: newest versions, deletions, duplicates; from the index alone.

Everything is decided by sorting hashes, a range of them at a time, so that memory is bounded
whatever the corpus. The outcome is a function of the files and their names, not of the order in
which tasks ran.
"""

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from biobert_jax.corpus.pipeline.encoded import BAND_DTYPE, DELETION_DTYPE, read_index
from biobert_jax.corpus.pipeline.tasks import Task, task_path

# What becomes of a document. Those that are not kept are counted under these names.
REASONS = ("kept", "superseded", "deleted", "duplicate", "near_duplicate")
KEPT, SUPERSEDED, DELETED, DUPLICATE, NEAR_DUPLICATE = range(len(REASONS))

# Documents looked at at a time; 60 bytes each.
RANGE_DOCUMENTS = 1 << 22

# `pubmed24n1220.xml.gz`, and PMC's `oa_comm_xml.incr.2024-06-19.tar.gz`.
_PUBMED_NUMBER = re.compile(r"pubmed(\d\d)n(\d+)", re.IGNORECASE)
_DATE = re.compile(r"(?<!\d)(\d{4})-(\d\d)-(\d\d)(?!\d)")


def _sequence_of_files(tasks: Sequence[Task]) -> np.ndarray:
    """`place_in_sequence` by the number of the input file."""
    places = {
        number: place_in_sequence(Path(path).name)
        for task in tasks
        for number, path in enumerate(task.paths, task.first_file)
    }
    sequence = np.zeros(max(places, default=-1) + 1, np.int64)
    sequence[list(places)] = list(places.values())
    return sequence


def place_in_sequence(name: str) -> int:
    """The order in which a file was published, as its name says it; 0: not known."""
    if found := _PUBMED_NUMBER.search(name):
        return int(found[1]) * 1_000_000 + int(found[2])
    if found := _DATE.search(name):
        return int("".join(found.groups()))
    return 0


def resolve(
    tasks: Sequence[Task],
    work: str,
    *,
    ids_are_global: bool,
    drop_duplicates: bool,
    near_duplicates: bool,
) -> list[np.ndarray]:
    """What becomes of each document: an array of `REASONS` numbers a task.

    Of documents with one id the newest stays: by revision, then by the file's place in the
    sequence of publication, then by the order of the input. A deletion removes what stands in its
    own file and in earlier ones; a record that comes back later counts. Of documents with one
    text, or of near duplicates, the first in the order of the input stays.

    Args:
      ids_are_global: whether two documents of one id are versions of one article.
    """
    verdicts = [np.zeros(len(read_index(task_path(work, t, "index"))), np.uint8) for t in tasks]
    total = sum(map(len, verdicts))
    if not total:
        return verdicts
    num_ranges = max(1, -(-total // RANGE_DOCUMENTS))
    if ids_are_global:
        sequence = _sequence_of_files(tasks)
        deletions = np.concatenate(
            [np.fromfile(task_path(work, t, "deletions"), DELETION_DTYPE) for t in tasks]
        )
        deleted = _deletion_times(deletions, sequence)
        for entries in _ranges(tasks, work, verdicts, _field("id"), num_ranges):
            _resolve_versions(entries, sequence, deleted, verdicts)
    if drop_duplicates:
        for entries in _ranges(tasks, work, verdicts, _field("content"), num_ranges):
            _mark(entries, _repeats(entries["key"]), DUPLICATE, verdicts)
    if near_duplicates:
        # All bands are judged against what the steps before have left, not one after the other:
        # the outcome does not hang on the order of the bands.
        kept = [verdict.copy() for verdict in verdicts]
        for band in range(_num_bands(tasks, work, verdicts)):
            for entries in _ranges(tasks, work, kept, _band(work, band), num_ranges):
                _mark(entries, _repeats(entries["key"]), NEAR_DUPLICATE, verdicts)
    return verdicts


_ENTRY = np.dtype(
    [("key", "<u8"), ("task", "<u4"), ("number", "<u4"), ("revision", "<i8"), ("file", "<u4")]
)
# From a task to the key of each of its documents.
_Keys = Callable[[Task, np.ndarray], np.ndarray]


def _field(name: str) -> _Keys:
    return lambda task, index: index[name]


def _band(work: str, band: int) -> _Keys:
    def keys(task: Task, index: np.ndarray) -> np.ndarray:
        stored = np.fromfile(task_path(work, task, "bands"), BAND_DTYPE)
        return stored.reshape(len(index), -1)[:, band]

    return keys


def _num_bands(tasks: Sequence[Task], work: str, verdicts: list[np.ndarray]) -> int:
    for task, verdict in zip(tasks, verdicts, strict=True):
        if len(verdict):
            return task_path(work, task, "bands").stat().st_size // (
                BAND_DTYPE.itemsize * len(verdict)
            )
    return 0


def _ranges(
    tasks: Sequence[Task],
    work: str,
    verdicts: Sequence[np.ndarray],
    keys: _Keys,
    num_ranges: int,
) -> Iterator[np.ndarray]:
    """The documents still kept, a range of keys at a time, sorted by key, task and number."""

    def entries_of(place: int) -> np.ndarray:
        index = read_index(task_path(work, tasks[place], "index"))
        chosen = np.flatnonzero(verdicts[place] == KEPT)
        entries = np.empty(len(chosen), _ENTRY)
        entries["key"] = keys(tasks[place], index)[chosen]
        entries["task"], entries["number"] = place, chosen
        entries["revision"], entries["file"] = index["revision"][chosen], index["file"][chosen]
        return entries

    def in_order(entries: np.ndarray) -> np.ndarray:
        return entries[np.argsort(entries["key"], kind="stable")]  # the rest rises already

    if num_ranges == 1:
        yield in_order(np.concatenate([entries_of(place) for place in range(len(tasks))]))
        return
    # One pass deals the entries out to a file a range.
    with tempfile.TemporaryDirectory(dir=work, prefix="ranges-") as folder:
        paths = [Path(folder, str(number)) for number in range(num_ranges)]
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(open(path, "wb")) for path in paths]
            for place in range(len(tasks)):
                entries = entries_of(place)
                # uint64: the upper half of a key times the number of ranges does not overflow
                number = (entries["key"] >> np.uint64(32)) * np.uint64(num_ranges) >> np.uint64(32)
                order = np.argsort(number, kind="stable")
                ends = np.searchsorted(number[order], np.arange(1, num_ranges + 1))
                for file, part in zip(files, np.split(entries[order], ends[:-1]), strict=True):
                    file.write(part.tobytes())
        for path in paths:
            yield in_order(np.fromfile(path, _ENTRY))


def _repeats(key: np.ndarray) -> np.ndarray:
    """bool [n]: not the first of its key."""
    return np.concatenate([[False], key[1:] == key[:-1]]) if len(key) else np.zeros(0, bool)


def _mark(entries: np.ndarray, chosen: np.ndarray, reason: int, verdicts: list[np.ndarray]) -> None:
    marked = entries[chosen]
    for place in np.unique(marked["task"]):
        verdicts[place][marked["number"][marked["task"] == place]] = reason


def _deletion_times(deletions: np.ndarray, sequence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Deleted ids, sorted, and the place in the sequence of the last file that deletes each.

    A file without a place may have come at any time: what it deletes stays deleted.
    """
    times = sequence[deletions["file"]]
    times = np.where(times == 0, np.iinfo(np.int64).max, times)
    order = np.lexsort([times, deletions["id"]])
    ids, times = deletions["id"][order], times[order]
    is_last = np.concatenate([ids[1:] != ids[:-1], [True]]) if len(ids) else np.zeros(0, bool)
    return ids[is_last], times[is_last]


def _resolve_versions(
    entries: np.ndarray,
    sequence: np.ndarray,
    deleted: tuple[np.ndarray, np.ndarray],
    verdicts: list[np.ndarray],
) -> None:
    place = sequence[entries["file"]]
    ids, times = deleted
    if len(ids):
        found = np.minimum(np.searchsorted(ids, entries["key"]), len(ids) - 1)
        is_deleted = (ids[found] == entries["key"]) & (times[found] >= place)
        _mark(entries, is_deleted, DELETED, verdicts)
        entries, place = entries[~is_deleted], place[~is_deleted]
    order = np.lexsort(
        [entries["number"], entries["task"], place, entries["revision"], entries["key"]]
    )
    entries = entries[order]
    key = entries["key"]
    is_older = np.concatenate([key[1:] == key[:-1], [False]]) if len(key) else np.zeros(0, bool)
    _mark(entries, is_older, SUPERSEDED, verdicts)
