"""The first stage of preparation: files to tokenized documents and their index."""

import functools
import os
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

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
    dropped: Counter[str] = Counter()
    failed: dict[str, str] = {}
    lost: list[str] = []
    deletions: list[tuple[int, int]] = []
    num_documents = num_bytes = 0
    with EncodedWriter(
        *(task_path(work, task, kind) for kind in ("documents", "index", "bands")),
        id_dtype(tokenizer.vocab_size),
    ) as writer:
        for number, path in enumerate(task.paths, task.first_file):
            counts = ReadCounts()
            mark, added = writer.mark(), 0
            documents = open_documents(
                path, arguments.format, options=arguments.options, share=task.share, counts=counts
            )
            try:
                for document in documents:
                    if counts.failed and arguments.on_error == "fail":
                        break
                    encoded = encode(document, number)
                    if isinstance(encoded, str):
                        counts.dropped[encoded] += 1
                    else:
                        writer.add(*encoded)
                        added += 1
            except (CorpusFileError, MemoryError) as error:
                if isinstance(error, MemoryError):
                    reason = "too large for this machine's memory: cut it into several files"
                    error = CorpusFileError(path, "", reason)
                if arguments.on_error == "fail":
                    raise error
                failed[path] = str(error)
                if not error.whole_before:
                    lost.append(path)
                    writer.go_back(mark)
                    continue
                if added:
                    failed[path] += "; what stands before is kept"
            if counts.failed and arguments.on_error == "fail":
                member, reason = next(iter(counts.failed.items()))
                raise CorpusFileError(member, "", reason)
            failed |= {member: f"{member}: {reason}" for member, reason in counts.failed.items()}
            counts.dropped["empty"] += counts.empty
            dropped += counts.dropped
            num_documents += added
            if task.share.part == 0 or task.share.stop is not None:  # else all shares read all
                num_bytes += counts.bytes
            deletions += [(hash64(id_), number) for id_ in counts.deleted]
    write_array(task_path(work, task, "deletions"), np.array(deletions, DELETION_DTYPE))
    result = {
        "claim": claim,
        "documents": num_documents,
        "bytes": num_bytes,
        "dropped": dict(dropped),
        "failed": failed,
        "lost": lost,
    }
    write_result(done, result)
    return result


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
    status = os.stat(arguments.vocab)
    return _loaded_tokenizer(
        arguments.vocab, arguments.do_lower_case, status.st_mtime_ns, status.st_size
    )


@functools.lru_cache(maxsize=1)
def _loaded_tokenizer(vocab: str, do_lower_case: str, *_: int) -> Tokenizer:
    return load_vocabulary(vocab, do_lower_case)
