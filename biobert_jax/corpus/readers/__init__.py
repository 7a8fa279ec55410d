"""Corpus readers: each turns one file, plain or gzip, local or gs://, into a stream of documents.

Every reader is a generator `read_*(path, *, options, share, counts)`. It opens the file when the
first document is asked for, holds one document at a time, skips records without text, and raises
`CorpusFileError` for a file that cannot be read, after the documents before the fault.

A share does as little as it can with the records of others, but reads the whole file and raises
for what is wrong with it as a whole. What is wrong inside a record, in the formats whose other
records are not parsed (jsonl, archives of pmc), is noticed by the share that holds it.
"""

from collections.abc import Callable, Iterator

from etils import epath

from biobert_jax.corpus.documents import Document, ReadCounts, ReadOptions, Share
from biobert_jax.corpus.readers.bioc import read_bioc
from biobert_jax.corpus.readers.defaults import DEFAULT_OPTIONS, WHOLE_FILE
from biobert_jax.corpus.readers.jsonl import read_jsonl
from biobert_jax.corpus.readers.pmc import read_pmc
from biobert_jax.corpus.readers.pubmed import read_pubmed
from biobert_jax.corpus.readers.text import read_text
from biobert_jax.errors import UserError

READERS: dict[str, Callable[..., Iterator[Document]]] = {
    "pubmed": read_pubmed,
    "pmc": read_pmc,
    "bioc": read_bioc,
    "text": read_text,
    "jsonl": read_jsonl,
}

# Formats whose ids name one article everywhere, so that equal ids in two files are one article.
GLOBAL_IDS = frozenset({"pubmed", "pmc"})


def open_documents(
    path: epath.PathLike,
    format: str,
    *,
    options: ReadOptions = DEFAULT_OPTIONS,
    share: Share = WHOLE_FILE,
    counts: ReadCounts | None = None,
) -> Iterator[Document]:
    """Yields the documents of one file.

    Args:
      path: a local or gs:// file.
      format: a key of `READERS`.
      options: what to read of it; each format heeds what it has.
      share: the part of the file's records to read.
      counts: brought up to date as the file is read.

    Raises:
      UserError: unknown format; raised here, before anything is read. An option that makes no
        sense; raised while iterating.
      CorpusFileError: the file cannot be read; raised while iterating.
    """
    if format not in READERS:
        known = ", ".join(sorted(READERS))
        raise UserError(f"unknown corpus format {format!r}: use one of {known}")
    return READERS[format](path, options=options, share=share, counts=counts)
