"""What a preparation will take, told from a sample of its input: rows, disk, time."""

import dataclasses
import os
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from biobert_jax.corpus.dataset.records import encode_rows, id_dtype
from biobert_jax.corpus.dataset.tfrecord import frame
from biobert_jax.corpus.documents import CorpusFileError, ReadCounts
from biobert_jax.corpus.pipeline.arguments import PrepareArguments
from biobert_jax.corpus.pipeline.encode import EncodedDocument, document_encoder
from biobert_jax.corpus.pipeline.encoded import INDEX_DTYPE, LENGTH_DTYPE
from biobert_jax.corpus.pipeline.pack import RowMaker
from biobert_jax.corpus.pipeline.shards import num_shards
from biobert_jax.corpus.pipeline.spill import KEY_DTYPE, NUM_RANGES, sorted_chunks
from biobert_jax.corpus.pipeline.tasks import file_states, plan_tasks
from biobert_jax.corpus.readers import open_documents
from biobert_jax.corpus.readers.compressed import open_stored
from biobert_jax.corpus.rows.pairs import SentenceTokens
from biobert_jax.corpus.text.tokenization import Tokenizer
from biobert_jax.disk import check_space, free_bytes
from biobert_jax.errors import UserError

# Files looked into, evenly spread, and text read of each; no more of its time than so many seconds.
SAMPLE_FILES = 3
SAMPLE_SMALL_FILES = 60
SAMPLE_BYTES = 2 << 20
SAMPLE_SECONDS = 1.5
# Bytes of text read of a file in which the options leave out document after document.
SEARCHED_BYTES = 16 << 20
# Documents packed, and records written, to know their size and rate.
PACKED_DOCUMENTS = 300
WRITTEN_ROWS = 64
# Of the disk's estimate.
MARGIN = 1.05
# Corpora below that are begun without an estimate: they take less than most disks have.
SMALL_BYTES = 32 << 20


@dataclass(frozen=True)
class Estimate:
    """What a corpus will become; all but the first three numbers are extrapolated.

    Attributes:
      files, tasks, input_bytes: of the input, as stored.
      sample_bytes: of text, that this was told from.
      documents, tokens, rows: duplicates among them.
      output_bytes: of the shards.
      disk_bytes: most that lies in the output folder at a time, the shards included.
      cpu_seconds: of one core like this one.
    """

    files: int
    tasks: int
    input_bytes: int
    sample_bytes: int
    documents: int
    tokens: int
    rows: int
    output_bytes: int
    disk_bytes: int
    cpu_seconds: float


class NothingFound(UserError):
    """The sample holds no document: nothing can be told of the corpus."""


class _Enough(BaseException):
    """Ends the reading of a file; no reader takes it for a fault of the file."""


class _BoundedCounts(ReadCounts):
    """Counts that end the reading at `SEARCHED_BYTES`."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "bytes" and value > SEARCHED_BYTES:
            raise _Enough


@dataclass
class _Sample:
    """Sums over the sampled files: what was read of them and what became of it."""

    stored: float = 0.0
    text_bytes: int = 0
    seconds: float = 0.0
    tokens: int = 0
    documents: list[EncodedDocument] = dataclasses.field(default_factory=list)


def estimate(arguments: PrepareArguments, workers: int = 1) -> Estimate:
    """Reads, tokenizes and packs a sample of the input; writes nothing.

    Raises:
      NothingFound: no document in the sample.
    """
    tokenizer = arguments.load_tokenizer()
    paths = arguments.inputs
    sizes = [size for size, _ in file_states(paths)]
    sample = _Sample()
    encode = document_encoder(arguments, tokenizer)
    filled = [place for place, size in enumerate(sizes) if size]
    places = _spread(filled, SAMPLE_FILES)
    for place in dict.fromkeys([*places, *_spread(filled, SAMPLE_SMALL_FILES)]):
        if place in places or sample.text_bytes < SAMPLE_BYTES:
            _read_some(arguments, paths[place], sizes[place], encode, sample)
    if not sample.documents:
        raise NothingFound(
            f"{paths[0]}: no document in what was sampled of {len(paths):,} files: nothing can be "
            "told from it"
        )

    rows_a_document, row_seconds, record_bytes = _pack_some(arguments, tokenizer, sample)
    share = max(1, sample.stored) / sum(sizes)
    documents = round(len(sample.documents) / share)
    tokens = round(sample.tokens / share)
    rows = max(1, round(rows_a_document * documents))
    dtype = arguments.format_of_records(tokenizer.vocab_size).row_dtype
    shards = round(rows * record_bytes)
    spilled = rows * (dtype.itemsize + KEY_DTYPE.itemsize)
    encoded = tokens * id_dtype(tokenizer.vocab_size).itemsize + round(
        sum(len(d.sentence_lengths) for d in sample.documents) / share * LENGTH_DTYPE.itemsize
    )
    bands = [0 if d.bands is None else d.bands.nbytes for d in sample.documents[:1]]
    index = documents * (INDEX_DTYPE.itemsize + bands[0])
    tasks = len(plan_tasks(paths, sizes, arguments.format))
    # What is packed and what is written is given back piece by piece.
    packing = max(encoded, spilled) + encoded * min(workers, tasks) // tasks
    pieces = min(NUM_RANGES, num_shards("train", rows, arguments.shards, dtype))
    disk = index + max(packing, spilled + shards // pieces)
    return Estimate(
        files=len(paths),
        tasks=tasks,
        input_bytes=sum(sizes),
        sample_bytes=sample.text_bytes,
        documents=documents,
        tokens=tokens,
        rows=rows,
        output_bytes=shards,
        disk_bytes=round(disk * MARGIN),
        cpu_seconds=sample.seconds / share + row_seconds * rows,
    )


def check_disk(found: Estimate, output: str | os.PathLike) -> None:
    """Compares the disk needed with what is free, what an unfinished run holds counted in.

    Raises:
      UserError: it is more.
    """
    remedy = "make room, choose another folder, or give --no-check_space"
    check_space(found.disk_bytes, usable_bytes(output), f"--output {output}", remedy)


def usable_bytes(output: str | os.PathLike) -> int:
    """Bytes free where the output folder is or will be, with those of an unfinished run there."""
    held = sum(p.stat().st_size for p in Path(output).glob(".work/*") if p.is_file())
    return free_bytes(output) + held


def _spread(places: Sequence[int], count: int) -> list[int]:
    """Up to `count` of them, evenly spread, the first among them."""
    count = min(count, len(places))
    return [places[len(places) * number // count] for number in range(count)]


def _read_some(arguments, path: str, stored: int, encode, sample: _Sample) -> None:
    """Reads and encodes the beginning of a file, or all of a small one."""
    counts = _BoundedCounts()
    began = time.process_time()
    # Bytes are read ahead, 256 kB at a time from gzip. When a document asks for more, what had been
    # read until then is what the documents before it took.
    read = used = 0
    is_cut = False
    try:
        for document in open_documents(
            path, arguments.format, options=arguments.options, counts=counts
        ):
            encoded = encode(document, 0)
            if not isinstance(encoded, str):
                sample.documents.append(encoded)
                sample.tokens += len(encoded.ids)
            if counts.bytes == read:
                continue
            used, read = read, counts.bytes
            is_late = time.process_time() - began > SAMPLE_SECONDS
            if used and (read > SAMPLE_BYTES or is_late):
                is_cut = True
                break
    except CorpusFileError:  # who reads it all will say
        used, is_cut = counts.bytes, read > 0
    except _Enough:
        used, is_cut = counts.bytes, True
    sample.seconds += time.process_time() - began
    sample.text_bytes += counts.bytes
    sample.stored += min(stored, used / _expansion(path)) if is_cut else stored


def _expansion(path: str) -> float:
    """Bytes of text a byte stored, told from the file's beginning."""
    with open_stored(path) as stream:
        head = stream.read(1 << 18)
    if not head.startswith(b"\x1f\x8b"):
        return 1.0
    unpacker = zlib.decompressobj(31)
    try:
        text = unpacker.decompress(head)
    except zlib.error:
        return 1.0
    return max(1.0, len(text) / max(1, len(head) - len(unpacker.unused_data)))


def _pack_some(
    arguments: PrepareArguments, tokenizer: Tokenizer, sample: _Sample
) -> tuple[float, float, float]:
    """Rows a document, seconds a row from documents to a shard, and bytes of a record."""
    chosen = sample.documents[:PACKED_DOCUMENTS]
    texts = [
        SentenceTokens(d.ids, [0, *np.cumsum(d.sentence_lengths, dtype=int).tolist()])
        for d in chosen
    ]
    format = arguments.format_of_records(tokenizer.vocab_size)
    maker = RowMaker(arguments, tokenizer, (0, 0))
    began = time.process_time()
    chunks = list(sorted_chunks(maker(texts), format.row_dtype, arguments.seed, (0, 0)))
    seconds = time.process_time() - began
    tally = maker.tally()
    if not tally["rows"]:  # pairs need more than one sentence
        return 0.0, 0.0, float(format.row_dtype.itemsize)
    began = time.process_time()
    records = [len(frame(r)) for r in encode_rows(chunks[0].rows[:WRITTEN_ROWS], format)]
    written = (time.process_time() - began) / len(records)
    # The last row is cut short in a sample, and in a corpus it does not count.
    full = tally["positions"] / arguments.max_seq_length
    rows = max(full, tally["rows"] - 1, 1) if arguments.record_format == "packed" else tally["rows"]
    return rows / len(chosen), seconds / tally["rows"] + written, sum(records) / len(records)
