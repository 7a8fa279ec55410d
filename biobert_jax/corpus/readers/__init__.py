"""Corpus readers: each turns one file, plain or gzip, local or gs://, into a stream of documents.

Every reader is a generator `read_*(path, *, counts=None, ...)`. It opens the file when the first
document is asked for, holds one document at a time, skips records without text, and raises
`CorpusFileError` for a file that cannot be read, after the documents before the fault.
"""

from collections.abc import Callable, Iterator

from etils import epath

from biobert_jax.corpus.documents import Document, ReadCounts
from biobert_jax.corpus.readers.jsonl import read_jsonl
from biobert_jax.corpus.readers.pubmed import read_pubmed
from biobert_jax.corpus.readers.text import read_text
from biobert_jax.errors import UserError

READERS: dict[str, Callable[..., Iterator[Document]]] = {
    "pubmed": read_pubmed,
    "text": read_text,
    "jsonl": read_jsonl,
}


def open_documents(
    path: epath.PathLike, format: str, *, counts: ReadCounts | None = None
) -> Iterator[Document]:
    """Yields the documents of one file, read with the format's default options.

    Args:
      path: a local or gs:// file.
      format: a key of `READERS`.
      counts: brought up to date as the file is read.

    Raises:
      UserError: unknown format; raised here, before anything is read.
      CorpusFileError: the file cannot be read; raised while iterating.
    """
    if format not in READERS:
        known = ", ".join(sorted(READERS))
        raise UserError(f"unknown corpus format {format!r}: use one of {known}")
    return READERS[format](path, counts=counts)
