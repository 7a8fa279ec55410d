"""The second half of preparation: spilled rows, globally shuffled, to TFRecord shards."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biobert_jax.corpus.dataset.manifest import SPLITS
from biobert_jax.corpus.dataset.records import RecordEncoder, write_shard
from biobert_jax.corpus.pipeline.spill import gather_shard, read_result, row_dtype, write_result
from biobert_jax.files import file_sha256

ROWS_PER_SHARD = 16384


@dataclass(frozen=True)
class ShardTask:
    """One shard to be gathered from the spills and written."""

    split: str
    index: int
    num_shards: int
    work: str
    spills: tuple[tuple[str, tuple[int, ...]], ...]
    max_seq_length: int
    vocab_size: int

    @property
    def name(self) -> str:
        """The shard's file name."""
        return f"{self.split}-{self.index:05d}-of-{self.num_shards:05d}.tfrecord"


def plan_shards(
    results: list[dict[str, Any]], work: Path, shards: int, max_seq_length: int, vocab_size: int
) -> list[ShardTask]:
    """The shards of a run, from the results of all its tasks; `shards` 0: as many as fit the size.

    A large training split has at least 8, so that several hosts have streams to read.
    """
    tasks = []
    for split in SPLITS:
        rows = sum(result[split]["rows"] for result in results)
        count = -(-rows // ROWS_PER_SHARD)
        if split == "train":
            count = min(rows, shards or max(count, min(8, -(-rows // 64))))
        spills = tuple((name, tuple(sizes)) for name, sizes in (r[split]["spill"] for r in results))
        for index in range(count):
            tasks.append(
                ShardTask(split, index, count, str(work), spills, max_seq_length, vocab_size)
            )
    return tasks


def run_shard_task(task: ShardTask) -> dict[str, Any]:
    """Gathers, shuffles and writes one shard in `.work/`; returns its manifest entry."""
    work = Path(task.work)
    done = work / f"{task.name}.json"
    # Of which spills it was made: a file that could not be read before may have come since.
    spilled = [[name, list(sizes)] for name, sizes in task.spills]
    finished = read_result(done)
    if finished is not None and finished["spills"] == spilled:
        return finished["shard"]
    dtype = row_dtype(task.max_seq_length, task.vocab_size)
    spills = [(work / name, list(sizes)) for name, sizes in task.spills]
    rows = gather_shard(spills, dtype, task.index, task.num_shards)
    encode = RecordEncoder(task.max_seq_length, task.vocab_size)
    temporary = work / f"{task.name}.tmp"
    write_shard(
        temporary, (encode(r["input_ids"].tobytes(), r["sequence_ids"].tobytes()) for r in rows)
    )
    path = work / task.name
    os.replace(temporary, path)
    result = {
        "name": task.name,
        "split": task.split,
        "rows": len(rows),
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
    }
    write_result(done, {"spills": spilled, "shard": result})
    return result
