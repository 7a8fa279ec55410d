"""The last stage of preparation: spilled rows, globally shuffled, to TFRecord shards."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from biobert_jax.corpus.dataset.manifest import SPLITS
from biobert_jax.corpus.dataset.records import RecordFormat, encode_rows
from biobert_jax.corpus.dataset.tfrecord import write_tfrecords
from biobert_jax.corpus.pipeline.spill import Spill, gather_shard, overlaps
from biobert_jax.corpus.pipeline.tasks import read_result, write_result
from biobert_jax.files import file_sha256

SHARD_BYTES = 32 << 20
SPILLS = "spills.json"


@dataclass(frozen=True)
class ShardTask:
    """One shard to be gathered from the spills and written; `claim` is a hash of their list."""

    split: str
    index: int
    num_shards: int
    claim: str

    @property
    def name(self) -> str:
        """The shard's file name."""
        return shard_name(self.split, self.index, self.num_shards)


def shard_name(split: str, index: int, count: int) -> str:
    """The file name of a shard."""
    return f"{split}-{index:05d}-of-{count:05d}.tfrecord"


def num_shards(split: str, rows: int, requested: int, dtype: np.dtype) -> int:
    """Shards of a split of so many rows; `requested` 0: as many as fit the size.

    A large training split has at least 8, so that several hosts have streams to read.
    """
    count = -(-rows * dtype.itemsize // SHARD_BYTES)
    if split == "train":
        count = min(rows, requested or max(count, min(8, -(-rows // 64))))
    return count


def plan_shards(
    packed: list[dict[str, Any]], work: Path, requested: int, dtype: np.dtype
) -> list[ShardTask]:
    """The shards of a run, from the results of its packing tasks."""
    # The list of spills is long where there are many tasks: it is handed on as a file.
    spills = {split: [s for result in packed for s in result[split]["spills"]] for split in SPLITS}
    write_result(work / SPILLS, spills)
    tasks = []
    for split in SPLITS:
        claim = hashlib.sha256(
            json.dumps([r["claim"] for r in packed] + spills[split]).encode()
        ).hexdigest()
        count = num_shards(split, sum(r[split]["rows"] for r in packed), requested, dtype)
        tasks += [ShardTask(split, index, count, claim) for index in range(count)]
    return tasks


def read_shard(work: Path, task: ShardTask) -> dict[str, Any] | None:
    """The manifest entry of a shard that is written, and there or published; None where not."""
    finished = read_result(work / f"{task.name}.json")
    if finished is None or finished["claim"] != task.claim:
        return None
    shard = finished["shard"]
    for path in (work / task.name, work.parent / task.name):
        if path.is_file() and path.stat().st_size == shard["bytes"]:
            return shard
    return None


def shard_task(format: RecordFormat, work: str, task: ShardTask) -> dict[str, Any]:
    """Gathers, shuffles and writes one shard in `.work/`; returns its manifest entry."""
    folder = Path(work)
    shard = read_shard(folder, task)
    if shard is not None:
        return shard
    done = folder / f"{task.name}.json"
    done.unlink(missing_ok=True)  # before what it speaks of is written anew
    spills = [Spill(*spill) for spill in read_result(folder / SPILLS)[task.split]]
    rows = gather_shard(folder, spills, format.row_dtype, task.index, task.num_shards)
    shard = write_shard(folder, task.split, task.name, encode_rows(rows, format), len(rows))
    write_result(done, {"claim": task.claim, "shard": shard})
    return shard


def missing_spills(work: Path, tasks: list[ShardTask]) -> set[str]:
    """Names of spills that shards not yet written need, and that were given back.

    A run wrote shards and died, and then a file changed: all shards must be written anew.
    """
    spills = {
        split: [Spill(*spill) for spill in listed]
        for split, listed in read_result(work / SPILLS).items()
    }
    needed = {
        spill.name
        for task in tasks
        if not read_shard(work, task)
        for spill in spills[task.split]
        if overlaps(spill, task.index, task.num_shards)
    }
    return {name for name in needed if not (work / name).exists()}


class SpillRemover:
    """Told of every shard that is written, gives back the spills that no other one needs."""

    def __init__(self, work: Path, tasks: list[ShardTask]):
        self._work, self._tasks = work, tasks
        spills = read_result(work / SPILLS)
        # How many shards wait for the spills of a split's range of keys, and where they are.
        self._waiting: dict[tuple[str, int, int], int] = {}
        self._files: dict[tuple[str, int, int], list[str]] = {}
        for split in SPLITS:
            for spill in (Spill(*spill) for spill in spills[split]):
                files = self._files.setdefault((split, spill.part, spill.num_parts), [])
                files.append(spill.name)
        for task in tasks:
            for key in self._needed(task):
                self._waiting[key] = self._waiting.get(key, 0) + 1

    def __call__(self, number: int) -> None:
        """Says that the shard of the task of this number is written."""
        for key in self._needed(self._tasks[number]):
            self._waiting[key] -= 1
            if not self._waiting[key]:
                for name in self._files[key]:
                    (self._work / name).unlink(missing_ok=True)

    def _needed(self, task: ShardTask) -> list[tuple[str, int, int]]:
        return [
            key
            for key in self._files
            if key[0] == task.split
            and overlaps(Spill("", key[1], key[2], []), task.index, task.num_shards)
        ]


def write_shard(
    folder: Path, split: str, name: str, records: Iterable[bytes], rows: int
) -> dict[str, Any]:
    """Writes a shard and returns its manifest entry."""
    path = folder / name
    write_tfrecords(path, records)
    return {
        "name": name,
        "split": split,
        "rows": rows,
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
    }
