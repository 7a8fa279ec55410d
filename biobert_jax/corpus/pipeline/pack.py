"""The second stage of preparation: a task's documents to spilled rows."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from biobert_jax.corpus.dataset.manifest import SPLITS
from biobert_jax.corpus.dataset.records import id_dtype
from biobert_jax.corpus.dataset.statistics import Histogram
from biobert_jax.corpus.pipeline.arguments import PrepareArguments
from biobert_jax.corpus.pipeline.encode import encode_task, warm_tokenizer
from biobert_jax.corpus.pipeline.encoded import read_documents, read_index
from biobert_jax.corpus.pipeline.resolve import KEPT
from biobert_jax.corpus.pipeline.spill import (
    NUM_RANGES,
    SMALL_BYTES,
    KeyedRows,
    sorted_chunks,
    write_spills,
)
from biobert_jax.corpus.pipeline.tasks import Task, read_result, task_path, write_result
from biobert_jax.corpus.rows.masked_pairs import mask_pair
from biobert_jax.corpus.rows.packing import pack
from biobert_jax.corpus.rows.pair_packing import pack_pairs
from biobert_jax.corpus.rows.pairs import SentenceTokens, make_pairs
from biobert_jax.corpus.text.tokenization import Tokenizer
from biobert_jax.errors import UserError


def pack_task(
    arguments: PrepareArguments, work: str, task_and_verdicts: tuple[Task, bytes]
) -> dict[str, Any]:
    """Turns a task's documents into spilled rows and gives their space back.

    A task that must be packed again, since another's file has changed, is read again.

    Args:
      task_and_verdicts: the task, and a byte a document, 0 where it is kept.

    Returns:
      By split: `rows`, `sequences`, `positions` (not padding), `spills` and the histograms
      `row_positions`, `row_sequences` and, where documents are split into sentences,
      `sentence_tokens`.

    Raises:
      UserError: an input file that has changed since it was read.
    """
    task, verdicts = task_and_verdicts
    done = task_path(work, task, "rows.json")
    # A file that could not be read before may have come since, and with it other versions.
    index_path = task_path(work, task, "index")
    claim = hashlib.sha256(verdicts + index_path.read_bytes()).hexdigest()
    documents = task_path(work, task, "documents")
    result = read_result(done)
    if result is not None and result["claim"] == claim:
        documents.unlink(missing_ok=True)
        return result
    done.unlink(missing_ok=True)  # before what it speaks of is written anew
    restore_documents(arguments, work, task)
    # The rows take about what the documents did; few are held out.
    is_large = documents.stat().st_size > SMALL_BYTES
    result = {"claim": claim}
    for split in SPLITS:
        maker, chunks = packed_chunks(arguments, work, task, verdicts, split)
        num_parts = NUM_RANGES if is_large and split == "train" else 1
        spills = write_spills(task_path(work, task, split), chunks, num_parts)
        result[split] = {"spills": spills, **maker.tally()}
    write_result(done, result)
    documents.unlink()
    return result


def restore_documents(arguments: PrepareArguments, work: str, task: Task) -> None:
    """Reads a task's files again if its documents were given back.

    Raises:
      UserError: they are no longer what the index was made of.
    """
    if task_path(work, task, "documents").exists():
        return
    index = task_path(work, task, "index")
    before = index.read_bytes()
    task_path(work, task, "json").unlink(missing_ok=True)
    encode_task(arguments, work, task)
    if index.read_bytes() != before:
        raise UserError(
            f"{task.paths[0]}: this file, or one read with it, has changed since the run began: "
            "run the same command again"
        )


def forget_rows(
    work: str, tasks: Iterable[Task], packed: Iterable[dict[str, Any]], names: set[str]
) -> None:
    """Marks the tasks as not packed whose spills have one of these names."""
    for task, result in zip(tasks, packed, strict=True):
        if any(spill[0] in names for split in SPLITS for spill in result[split]["spills"]):
            task_path(work, task, "rows.json").unlink(missing_ok=True)


def packed_chunks(
    arguments: PrepareArguments, work: str, task: Task, verdicts: bytes, split: str
) -> tuple["RowMaker", Iterator[KeyedRows]]:
    """The rows of a task's documents of a split, in sorted chunks, and what counts them."""
    tokenizer = warm_tokenizer(arguments)
    index = read_index(task_path(work, task, "index"))
    kept = np.frombuffer(verdicts, np.uint8) == KEPT
    documents = read_documents(
        task_path(work, task, "documents"),
        index,
        kept & (index["held_out"] == (split == "heldout")),
        id_dtype(tokenizer.vocab_size),
    )
    stream = (task.index, SPLITS.index(split))
    maker = RowMaker(arguments, tokenizer, stream)
    dtype = arguments.format_of_records(tokenizer.vocab_size).row_dtype
    return maker, sorted_chunks(maker(documents), dtype, arguments.seed, stream)


class RowMaker:
    """Turns documents into rows of the kind asked for, and counts them.

    `stream` are numbers that tell the draws of this task and split from those of others.
    """

    def __init__(self, arguments: PrepareArguments, tokenizer: Tokenizer, stream: tuple[int, ...]):
        self._arguments, self._tokenizer, self._stream = arguments, tokenizer, stream
        self._rows = self._sequences = self._positions = 0
        self._row_positions, self._row_sequences = Histogram(), Histogram()
        self._sentence_tokens = Histogram()

    def __call__(self, documents: Iterable[SentenceTokens]) -> Iterator[NamedTuple]:
        """Yields `Row`s, `PairRow`s or `MaskedPairRow`s."""
        if self._arguments.needs_sentences:
            documents = self._measured(documents)
        for row in self._make(documents):
            if self._arguments.record_format == "bert":
                sequences, positions = 1, int(np.count_nonzero(row.input_mask))
            else:
                sequences = int(row.sequence_ids.max())
                positions = int(np.count_nonzero(row.sequence_ids))
            self._rows += 1
            self._sequences += sequences
            self._positions += positions
            self._row_positions.add(positions)
            self._row_sequences.add(sequences)
            yield row

    def tally(self) -> dict[str, Any]:
        """The counts of the rows made so far."""
        tally = {
            "rows": self._rows,
            "sequences": self._sequences,
            "positions": self._positions,
            "row_positions": self._row_positions.counts,
            "row_sequences": self._row_sequences.counts,
        }
        if self._arguments.needs_sentences:
            tally["sentence_tokens"] = self._sentence_tokens.counts
        return tally

    def _measured(self, documents: Iterable[SentenceTokens]) -> Iterator[SentenceTokens]:
        for document in documents:
            self._sentence_tokens.add_all(np.diff(document.bounds))
            yield document

    def _make(self, documents: Iterable[SentenceTokens]) -> Iterator[NamedTuple]:
        arguments, special = self._arguments, self._tokenizer.special
        length = arguments.max_seq_length
        continuation = self._tokenizer.continuation_table()
        if not arguments.needs_sentences:
            yield from pack(
                (document.ids for document in documents),
                length,
                cls=special.cls,
                sep=special.sep,
                pad=special.pad,
                continuation=continuation,
            )
            return
        pairs = make_pairs(
            documents,
            length,
            seed=arguments.seed,
            stream=self._stream,
            short_seq_prob=arguments.short_seq_prob,
            dupe_factor=arguments.repeats,
        )
        if arguments.record_format == "packed":
            yield from pack_pairs(pairs, length, special=special)
            return
        format = arguments.format_of_records(self._tokenizer.vocab_size)
        # The last number tells these draws from those of the keys.
        rng = np.random.default_rng([arguments.seed, *self._stream, 1])
        for pair in pairs:
            yield mask_pair(
                pair,
                rng,
                special=special,
                vocab_size=format.vocab_size,
                max_seq_length=length,
                max_predictions=format.max_predictions,
                masked_lm_prob=arguments.masked_lm_prob,
                continuation=continuation if arguments.whole_word_mask else None,
            )
