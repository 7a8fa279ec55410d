"""Corpus readers: each turns one file, plain or gzip, local or gs://, into a stream of documents.

Every reader is a generator `read_*(path, *, options, share, counts)`. It opens the file when the
first document is asked for, holds one document at a time, skips records without text, and raises
`CorpusFileError` for a file that cannot be read, after the documents before the fault; its
`whole_before` says whether these can be kept.

A share does as little as it can with the records of others, but reads the whole file and raises
for what is wrong with it as a whole. What is wrong inside a record, in the formats whose other
records are not parsed (jsonl, archives of pmc), is noticed by the share that holds it.
"""

import dataclasses
import importlib
from collections.abc import Callable, Iterator

from etils import epath

from biobert_jax.corpus.documents import Document, ReadCounts, ReadOptions, Share
from biobert_jax.corpus.formats import FORMATS, YEARS
from biobert_jax.corpus.readers.defaults import DEFAULT_OPTIONS, WHOLE_FILE
from biobert_jax.corpus.readers.licenses import wanted_licenses
from biobert_jax.errors import UserError


def _reader(format: str) -> Callable[..., Iterator[Document]]:
    module, _, function = FORMATS[format].reader.partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), function)


READERS: dict[str, Callable[..., Iterator[Document]]] = {name: _reader(name) for name in FORMATS}

# See `CorpusFormat`.
GLOBAL_IDS = frozenset(name for name, format in FORMATS.items() if format.ids_are_global)


def check_options(format: str, options: ReadOptions) -> None:
    """Refuses what a format would not heed: a filter that filters nothing misleads.

    Raises:
      UserError: an unknown format; an option that it has not; years or licences that are none.
    """
    _check_format(format)
    for field in dataclasses.fields(options):
        if (
            getattr(options, field.name) != field.default
            and field.name not in FORMATS[format].heeded
        ):
            name = "years" if field.name in YEARS else field.name
            takers = ", ".join(sorted(n for n, f in FORMATS.items() if field.name in f.heeded))
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
    _check_format(format)
    return READERS[format](path, options=options, share=share, counts=counts)


def _check_format(format: str) -> None:
    if format not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        raise UserError(f"unknown corpus format {format!r}: use one of {known}")
