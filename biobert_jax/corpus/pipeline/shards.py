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
from biobert_jax.corpus.pipeline.spill import gather_shard
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
    spills = {split: [result[split]["spill"] for result in packed] for split in SPLITS}
    write_result(work / SPILLS, spills)
    tasks = []
    for split in SPLITS:
        claim = hashlib.sha256(
            json.dumps([r["claim"] for r in packed] + spills[split]).encode()
        ).hexdigest()
        count = num_shards(split, sum(r[split]["rows"] for r in packed), requested, dtype)
        tasks += [ShardTask(split, index, count, claim) for index in range(count)]
    return tasks


def shard_task(format: RecordFormat, work: str, task: ShardTask) -> dict[str, Any]:
    """Gathers, shuffles and writes one shard in `.work/`; returns its manifest entry."""
    folder = Path(work)
    done = folder / f"{task.name}.json"
    finished = read_result(done)
    if finished is not None and finished["claim"] == task.claim:
        return finished["shard"]
    done.unlink(missing_ok=True)  # before what it speaks of is written anew
    spills = [(folder / name, sizes) for name, sizes in read_result(folder / SPILLS)[task.split]]
    rows = gather_shard(spills, format.row_dtype, task.index, task.num_shards)
    shard = write_shard(folder, task.split, task.name, encode_rows(rows, format), len(rows))
    write_result(done, {"claim": task.claim, "shard": shard})
    return shard


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
