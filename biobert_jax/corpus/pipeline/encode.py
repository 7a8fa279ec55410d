"""The first half of preparation: a file, or a part of one, to spilled rows.

A task's output depends on the input, the arguments and the seed alone, whatever the number of
workers. A task whose result file exists is finished and is not done again.
"""

import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from biobert_jax.corpus.dataset.manifest import SPLITS
from biobert_jax.corpus.documents import CorpusFileError, Document, ReadCounts
from biobert_jax.corpus.pipeline.arguments import PrepareArguments
from biobert_jax.corpus.pipeline.spill import read_result, row_dtype, write_result, write_spill
from biobert_jax.corpus.readers import open_documents
from biobert_jax.corpus.rows.packing import Row, pack
from biobert_jax.corpus.text.tokenization import Tokenizer, load_tokenizer

# A file over this many bytes is shared by several tasks, each of which reads it and takes every
# n-th block of documents: reading is some 20 times faster than tokenizing.
PART_BYTES = 4 << 20
MAX_PARTS = 16
BLOCK_DOCUMENTS = 256


@dataclass(frozen=True)
class Task:
    """One file, or part `part` of `num_parts` of it, to be turned into spilled rows."""

    index: int
    path: str
    part: int
    num_parts: int
    work: str
    arguments: PrepareArguments


def plan_tasks(arguments: PrepareArguments, work: Path) -> list[Task]:
    """The tasks of a run: a function of the input files alone."""
    tasks = []
    for path in arguments.inputs:
        num_parts = min(MAX_PARTS, 1 + os.path.getsize(path) // PART_BYTES)
        for part in range(num_parts):
            tasks.append(Task(len(tasks), path, part, num_parts, str(work), arguments))
    return tasks


def run_task(task: Task) -> dict[str, Any]:
    """Turns a task's documents into spilled rows, and returns its counts by split.

    A bad file gives a result with `error`, `position` and `reason`, which is not kept: a rerun
    tries the file again.
    """
    arguments = task.arguments
    done = Path(task.work) / f"task-{task.index:06d}.json"
    result = read_result(done)
    if result is not None:
        return result
    tokenizer = load_tokenizer(arguments.vocab)
    dtype = row_dtype(arguments.max_seq_length, tokenizer.vocab_size)
    counts = ReadCounts()
    tally = {
        split: {"documents": 0, "tokens": 0, "rows": 0, "sequences": 0, "positions": 0}
        for split in SPLITS
    }
    # The file is read once: training documents are packed as they come, the few held-out ones
    # wait in memory.
    held_out: list[np.ndarray] = []

    def training_documents() -> Iterator[np.ndarray]:
        for document, ids in _encoded_documents(task, tokenizer, counts):
            is_held_out = _is_held_out(document.id, arguments.held_out)
            split = tally["heldout" if is_held_out else "train"]
            split["documents"] += 1
            split["tokens"] += len(ids)
            if is_held_out:
                held_out.append(ids)
            else:
                yield ids

    documents = {"train": training_documents(), "heldout": held_out}
    try:
        for number, split in enumerate(SPLITS):
            path = Path(task.work) / f"task-{task.index:06d}.{split}"
            rows = _pack(documents[split], arguments.max_seq_length, tokenizer, tally[split])
            sizes = write_spill(path, rows, dtype, arguments.seed, (task.index, number))
            tally[split]["spill"] = [path.name, sizes]
    except CorpusFileError as error:
        reason = {"position": error.position, "reason": error.reason}
        return {"path": task.path, "error": str(error), **reason}
    # Every part reads the whole file: its empty documents are counted once.
    result = {"path": task.path, "empty": counts.empty if task.part == 0 else 0, **tally}
    write_result(done, result)
    return result


def _pack(
    documents: Iterable[np.ndarray], max_seq_length: int, tokenizer: Tokenizer, tally: dict
) -> Iterator[Row]:
    special = tokenizer.special
    for row in pack(
        documents,
        max_seq_length,
        cls=special.cls,
        sep=special.sep,
        pad=special.pad,
        continuation=tokenizer.continuation_table(),
    ):
        tally["rows"] += 1
        tally["sequences"] += int(row.sequence_ids.max())
        tally["positions"] += int(np.count_nonzero(row.sequence_ids))
        yield row


def _encoded_documents(
    task: Task, tokenizer: Tokenizer, counts: ReadCounts
) -> Iterator[tuple[Document, np.ndarray]]:
    """The task's share of its file's documents with their ids, those without a token left out."""
    documents = iter(open_documents(task.path, task.arguments.format, counts=counts))
    for number in itertools.count():
        block = list(itertools.islice(documents, BLOCK_DOCUMENTS))
        if not block:
            return
        if number % task.num_parts != task.part:
            continue
        passages = [passage for document in block for passage in document.passages]
        encoded = iter(tokenizer.encode_batch(passages))
        for document in block:
            ids = [piece for _ in document.passages for piece in next(encoded)]
            if ids:
                yield document, np.array(ids, np.int32)


def _is_held_out(document_id: str, share: float) -> bool:
    digest = hashlib.blake2b(document_id.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little") < share * 2**64
