"""The division of the input into tasks, and where each keeps what it has done.

The division is a function of the input files alone. So what a task makes depends on the input,
the arguments and the seed, and not on the number of workers or on where a run was stopped.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biobert_jax import storage
from biobert_jax.corpus.documents import CorpusFileError, Share
from biobert_jax.corpus.pipeline.cuts import byte_shares
from biobert_jax.corpus.readers.lines import LineCounts, count_lines
from biobert_jax.files import write_text_atomically

# Small files are put together up to this many bytes, and larger ones shared out: plain text and
# JSON lines by ranges of bytes, all else by blocks of records, each share reading the file and
# passing over what is not its own. Reading is many times faster than the rest, but not free: where
# there are many files they are shared out less.
TASK_BYTES = 4 << 20
TASKS_WANTED = 1024
MAX_SHARES = 8
MAX_FILES = 4096


@dataclass(frozen=True)
class Task:
    """Some whole files, or a share of one.

    Attributes:
      index: number of the task.
      first_file: number of the first path among all inputs.
      bytes: size of what is to be read, for the progress bar.
    """

    index: int
    paths: tuple[str, ...]
    first_file: int
    share: Share
    bytes: int


def plan_tasks(paths: Sequence[str], sizes: Sequence[int], format: str = "") -> list[Task]:
    """Divides files, in their order, into tasks.

    Args:
      format: in which they are read: large plain files of some are cut into ranges of bytes, whose
        numbers are to be filled in by `with_numbers`. "": none is.
    """
    wanted = max(TASK_BYTES, sum(sizes) // TASKS_WANTED)
    tasks: list[Task] = []
    first = 0
    while first < len(paths):
        last, size = first + 1, sizes[first]
        while last < len(paths) and last - first < MAX_FILES and size + sizes[last] <= wanted:
            size += sizes[last]
            last += 1
        parts = -(-size // wanted) or 1
        shares = byte_shares(paths[first], size, parts, format)
        if not shares:
            parts = min(MAX_SHARES, parts)
            shares = [Share(part, parts) for part in range(parts)]
        for share in shares:
            bytes_ = size // len(shares) if share.stop is None else share.stop - share.start
            tasks.append(Task(len(tasks), tuple(paths[first:last]), first, share, bytes_))
        first = last
    return tasks


def count_task(task: Task) -> LineCounts:
    """What a byte share holds, for those after it."""
    try:
        return count_lines(task.paths[0], task.share.start, task.share.stop)
    except CorpusFileError:  # Whoever reads it says what is wrong.
        return LineCounts(0, 0)


def with_numbers(tasks: Sequence[Task], counts: Sequence[LineCounts]) -> list[Task]:
    """The tasks, with what comes before each in its file.

    Args:
      counts: `count_task` of each task that is a byte share, in order.
    """
    numbered = []
    counted = iter(counts)
    lines = documents = 0
    for task in tasks:
        if task.share.stop is not None:
            if task.share.part == 0:
                lines = documents = 0
            share = task.share._replace(lines=lines, documents=documents)
            task = dataclasses.replace(task, share=share)
            own = next(counted)
            lines, documents = lines + own.lines, documents + own.documents
        numbered.append(task)
    return numbered


def task_path(work: str | os.PathLike, task: Task, kind: str) -> Path:
    """Where a task keeps its output of that kind."""
    return Path(work) / f"task-{task.index:06d}.{kind}"


def task_claim(task: Task) -> str:
    """A hash of the task and of its files as they are now: names, sizes, times of change."""
    files = [
        [path, *state] for path, state in zip(task.paths, file_states(task.paths), strict=True)
    ]
    content = [task.index, task.first_file, list(task.share), files]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def file_states(paths: Sequence[str]) -> list[tuple[int, int]]:
    """Sizes in bytes, as stored, and times of change in ns; of objects generations."""

    objects = iter(storage.stat_all([path for path in paths if storage.is_remote(path)]))

    def state(path: str) -> tuple[int, int]:
        if storage.is_remote(path):
            found = next(objects)
            return found.size, found.generation
        status = os.stat(path)
        return status.st_size, status.st_mtime_ns

    return list(map(state, paths))


def write_result(path: Path, result: dict[str, Any]) -> None:
    """Marks a piece of work as finished: its result as JSON, in one step."""
    write_text_atomically(path, json.dumps(result))


def read_result(path: Path) -> dict[str, Any] | None:
    """A finished piece's result; None where it is not finished."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
