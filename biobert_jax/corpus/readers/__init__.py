"""Corpus readers: each turns one file, plain or gzip, local or gs://, into a stream of documents.

Every reader is a generator `read_*(path, *, options, share, counts)`. It opens the file when the
first document is asked for, holds one document at a time, skips records without text, and raises
`CorpusFileError` for a file that cannot be read, after the documents before the fault.

A share does as little as it can with the records of others, but reads the whole file and raises
for what is wrong with it as a whole. What is wrong inside a record, in the formats whose other
records are not parsed (jsonl, archives of pmc), is noticed by the share that holds it.
"""

import dataclasses
from collections.abc import Callable, Iterator

from etils import epath

from biobert_jax.corpus.documents import Document, ReadCounts, ReadOptions, Share
from biobert_jax.corpus.readers.bioc import read_bioc
from biobert_jax.corpus.readers.defaults import DEFAULT_OPTIONS, WHOLE_FILE
from biobert_jax.corpus.readers.jsonl import read_jsonl
from biobert_jax.corpus.readers.licenses import wanted_licenses
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
# What has no id of its own is called by its path, as it was given, for that reason.
GLOBAL_IDS = frozenset({"pubmed", "pmc"})

_YEARS = ("first_year", "last_year")
# What each format heeds of `ReadOptions`.
HEEDED: dict[str, frozenset[str]] = {
    "pubmed": frozenset(
        {"titles", "section_labels", "other_abstracts", "languages", *_YEARS}
        | {"publication_types", "exclude_publication_types"}
    ),
    "pmc": frozenset({"titles", "section_labels", "captions", "languages", "licenses", *_YEARS}),
    "bioc": frozenset({"titles", "section_labels", "captions", "licenses", *_YEARS}),
    "text": frozenset(),
    "jsonl": frozenset(),
}


def check_options(format: str, options: ReadOptions) -> None:
    """Refuses what a format would not heed: a filter that filters nothing misleads.

    Raises:
      UserError: an unknown format; an option that it has not; years or licences that are none.
    """
    if format not in READERS:
        known = ", ".join(sorted(READERS))
        raise UserError(f"unknown corpus format {format!r}: use one of {known}")
    for field in dataclasses.fields(options):
        if getattr(options, field.name) != field.default and field.name not in HEEDED[format]:
            name = "years" if field.name in _YEARS else field.name
            takers = ", ".join(sorted(f for f, names in HEEDED.items() if field.name in names))
            raise UserError(f"--{name} means nothing for --format {format}, only for {takers}")
    if options.last_year and options.first_year > options.last_year:
        raise UserError(f"--years {options.first_year}-{options.last_year}: the last comes first")
    wanted_licenses(options.licenses)


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
