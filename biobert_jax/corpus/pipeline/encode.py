"""The first stage of preparation: files to tokenized documents and their index."""

import contextlib
import functools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from biobert_jax import storage
from biobert_jax.corpus.dataset.records import id_dtype
from biobert_jax.corpus.documents import CorpusFileError, Document, ReadCounts
from biobert_jax.corpus.pipeline.arguments import PrepareArguments, load_vocabulary
from biobert_jax.corpus.pipeline.encoded import DELETION_DTYPE, EncodedWriter, write_array
from biobert_jax.corpus.pipeline.tasks import (
    Task,
    read_result,
    task_claim,
    task_path,
    write_result,
)
from biobert_jax.corpus.readers import open_documents
from biobert_jax.corpus.text.fingerprints import (
    content_hash,
    hash64,
    is_held_out,
    near_duplicate_bands,
    twin_bands,
)
from biobert_jax.corpus.text.splitters import load_splitter
from biobert_jax.corpus.text.tokenization import Tokenizer


class EncodedDocument(NamedTuple):
    """What `EncodedWriter.add` takes: ids, lengths of sentences (none if not split), the rest."""

    ids: np.ndarray
    sentence_lengths: list[int]
    entry: dict[str, Any]
    bands: np.ndarray | None


def encode_task(arguments: PrepareArguments, work: str, task: Task) -> dict[str, Any]:
    """Reads and tokenizes a task's files; returns its counts.

    A task whose result is there, of the same files as they are now, is not done again. A file
    found to be bad is named in `failed`; it keeps the documents before the fault where they are
    whole, and else leaves none and is in `lost` too.

    Returns:
      `documents`, `bytes` (of text read, decompressed), `dropped` (counts by reason), `failed`
      (file, or archive/member, to the error), `lost` (the files of which nothing may be used).

    Raises:
      CorpusFileError: a bad file, with `on_error="fail"`.
    """
    done = task_path(work, task, "json")
    claim = task_claim(task)
    result = read_result(done)
    if result is not None and result["claim"] == claim:
        if not result["failed"] or arguments.on_error == "skip":
            return result
    done.unlink(missing_ok=True)  # before what it speaks of is written anew
    tokenizer = warm_tokenizer(arguments)
    encode = document_encoder(arguments, tokenizer)
    totals = _Totals()
    with EncodedWriter(
        *(task_path(work, task, kind) for kind in ("documents", "index", "bands")),
        id_dtype(tokenizer.vocab_size),
    ) as writer:
        for number, path in enumerate(task.paths, task.first_file):
            _encode_file(arguments, task, path, number, encode, writer, totals)
    write_array(task_path(work, task, "deletions"), np.array(totals.deletions, DELETION_DTYPE))
    result = {
        "claim": claim,
        "documents": totals.documents,
        "bytes": totals.bytes,
        "dropped": dict(totals.dropped),
        "failed": totals.failed,
        "lost": totals.lost,
    }
    write_result(done, result)
    return result


@dataclass
class _Totals:
    """Sums over a task's files, as in its result, and its `deletions`: (hash of id, file)."""

    documents: int = 0
    bytes: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    deletions: list[tuple[int, int]] = field(default_factory=list)


def _encode_file(
    arguments: PrepareArguments,
    task: Task,
    path: str,
    number: int,
    encode: Callable[[Document, int], EncodedDocument | str],
    writer: EncodedWriter,
    totals: _Totals,
) -> None:
    """Writes the documents of a task's file, or of its share of one, and counts them.

    Of a bad file of which nothing may be used, nothing is written or counted.

    Raises:
      CorpusFileError: a bad file or member, with `on_error="fail"`.
    """
    fails = arguments.on_error == "fail"
    counts = ReadCounts()
    mark, added = writer.mark(), 0
    documents = open_documents(
        path, arguments.format, options=arguments.options, share=task.share, counts=counts
    )
    try:
        with _blaming_memory_on(path):
            for document in documents:
                if fails and counts.failed:
                    break
                encoded = encode(document, number)
                if isinstance(encoded, str):
                    counts.dropped[encoded] += 1
                else:
                    writer.add(*encoded)
                    added += 1
    except CorpusFileError as error:
        if fails:
            raise
        totals.failed[path] = str(error)
        if not error.whole_before:
            totals.lost.append(path)
            writer.go_back(mark)
            return
        if added:
            totals.failed[path] += "; what stands before is kept"
    if fails and counts.failed:
        member, reason = next(iter(counts.failed.items()))
        raise CorpusFileError(member, "", reason)
    totals.failed |= {member: f"{member}: {reason}" for member, reason in counts.failed.items()}
    counts.dropped["empty"] += counts.empty
    totals.dropped += counts.dropped
    totals.documents += added
    if task.share.part == 0 or task.share.stop is not None:  # else all shares read all
        totals.bytes += counts.bytes
    totals.deletions += [(hash64(id_), number) for id_ in counts.deleted]


@contextlib.contextmanager
def _blaming_memory_on(path: str) -> Iterator[None]:
    """A lack of memory is a fault of the file that was too much for it; others may be read."""
    try:
        yield
    except MemoryError as error:
        reason = "too large for this machine's memory: cut it into several files"
        raise CorpusFileError(path, "", reason) from error


def document_encoder(
    arguments: PrepareArguments, tokenizer: Tokenizer
) -> Callable[[Document, int], EncodedDocument | str]:
    """Returns a function from (document, number of its file) to its encoded form.

    A document that is left out gives the reason instead.
    """
    split = load_splitter(arguments.sentence_splitter) if arguments.needs_sentences else None
    unknown = tokenizer.special.unk

    def sentences(passages: tuple[str, ...]) -> list[np.ndarray]:
        parts = (
            tokenizer.encode(passage[start:end])
            for passage in passages
            for start, end in split(passage)
        )
        return [ids for ids in parts if len(ids)]

    def encode(document: Document, file: int) -> EncodedDocument | str:
        # Passages have single spaces only, and no piece reaches across one.
        text = " ".join(document.passages)
        words = text.count(" ") + 1
        if words < arguments.min_words:
            return "short"
        parts = sentences(document.passages) if split else [tokenizer.encode(text)]
        if not sum(map(len, parts)):
            return "empty"
        ids = np.concatenate(parts) if split else parts[0]
        entry = {
            "id": hash64(document.id),
            "content": content_hash(document.passages),
            "revision": document.revision,
            "file": file,
            "words": words,
            "unknown": int(np.count_nonzero(ids == unknown)),
        }
        # Where a text may come twice, its copies must be on one side.
        side = entry["id" if arguments.duplicates == "drop" else "content"]
        entry["held_out"] = is_held_out(side, arguments.held_out)
        bands = None
        if arguments.near_duplicates:
            bands = near_duplicate_bands(document.passages, arguments.near_duplicates)
        elif arguments.held_out:
            bands = twin_bands(ids)
        return EncodedDocument(ids, [len(p) for p in parts] if split else [], entry, bands)

    return encode


def warm_tokenizer(arguments: PrepareArguments) -> Tokenizer:
    """The arguments' tokenizer, with what it remembers from the tasks before."""
    state = ()
    if not storage.is_remote(arguments.vocab):  # whose processes serve one run
        status = os.stat(arguments.vocab)
        state = (status.st_mtime_ns, status.st_size)
    return _loaded_tokenizer(arguments.vocab, arguments.do_lower_case, *state)


@functools.lru_cache(maxsize=1)
def _loaded_tokenizer(vocab: str, do_lower_case: str, *_: int) -> Tokenizer:
    return load_vocabulary(vocab, do_lower_case)
