"""BERT's own pre-training text: a sentence a line, a blank line between documents.

Source: google-research/bert, `create_pretraining_data.py` and `sample_text.txt`. Files with a
paragraph a line read the same.
"""

import os
from collections.abc import Iterator

from etils import epath

from biobert_jax.corpus.documents import (
    CorpusFileError,
    Document,
    ReadCounts,
    ReadOptions,
    Share,
    clean_passage,
)
from biobert_jax.corpus.readers.defaults import DEFAULT_OPTIONS, WHOLE_FILE
from biobert_jax.corpus.readers.lines import MAX_RECORD_BYTES, BadLine, lines_and_faults
from biobert_jax.corpus.readers.sniff import Expected


def read_text(
    path: epath.PathLike,
    *,
    options: ReadOptions = DEFAULT_OPTIONS,
    share: Share = WHOLE_FILE,
    counts: ReadCounts | None = None,
) -> Iterator[Document]:
    """Yields a document per run of non-blank lines; its id is `<file name>:<number from 1>`.

    A document of more than `MAX_RECORD_BYTES`, in one line or many, is named in `counts.failed`,
    as `path:line`, and the others are read.

    Args:
      path: a local or gs:// file, plain or gzip.
      options: none applies.
      share: the runs to yield.
      counts: brought up to date as the file is read.

    Raises:
      CorpusFileError: the file cannot be read, or is not UTF-8.
    """
    counts = ReadCounts() if counts is None else counts
    name = epath.Path(path).name
    number = share.documents
    first_line = 0  # of the document; 0 between documents
    size = 0
    passages: list[str] = []

    def document() -> Iterator[Document]:
        if size > MAX_RECORD_BYTES:
            counts.failed[f"{os.fspath(path)}:{first_line}"] = (
                f"a document of more than {MAX_RECORD_BYTES >> 20} MiB: put blank lines between "
                "documents"
            )
        elif passages:
            counts.documents += 1
            yield Document(f"{name}:{number + 1}", tuple(passages))

    lines = lines_and_faults(
        path,
        counts,
        expected=Expected("text"),
        start=share.start,
        stop=share.stop,
        first_number=share.lines + 1,
    )
    for line_number, line in lines:
        if isinstance(line, BadLine) and not line.too_long:
            raise CorpusFileError(os.fspath(path), str(line_number), line.reason)
        if isinstance(line, BadLine) or (line and not line.isspace()):
            first_line = first_line or line_number
            if not share.holds(number):
                continue
            size += MAX_RECORD_BYTES + 1 if isinstance(line, BadLine) else len(line)
            if size > MAX_RECORD_BYTES:
                passages.clear()
            else:
                passages.append(clean_passage(line))
        elif first_line:
            yield from document()
            number += 1
            first_line = size = 0
            passages = []
    yield from document()
