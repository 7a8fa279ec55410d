"""BERT's own pre-training text: a sentence a line, a blank line between documents.

Source: google-research/bert, `create_pretraining_data.py` and `sample_text.txt`. Files with a
paragraph a line read the same.
"""

from collections.abc import Iterator

from etils import epath

from biobert_jax.corpus.documents import Document, ReadCounts, ReadOptions, Share, clean_passage
from biobert_jax.corpus.readers.compressed import read_lines
from biobert_jax.corpus.readers.defaults import DEFAULT_OPTIONS, WHOLE_FILE


def read_text(
    path: epath.PathLike,
    *,
    options: ReadOptions = DEFAULT_OPTIONS,
    share: Share = WHOLE_FILE,
    counts: ReadCounts | None = None,
) -> Iterator[Document]:
    """Yields a document per run of non-blank lines; its id is `<file name>:<number from 1>`.

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
    number = 0
    in_run = False
    passages: list[str] = []

    def document() -> Document:
        counts.documents += 1
        return Document(f"{name}:{number + 1}", tuple(passages))

    for _, line in read_lines(path, counts):
        if line and not line.isspace():
            in_run = True
            if share.holds(number):
                passages.append(clean_passage(line))
        elif in_run:
            if passages:
                yield document()
            number += 1
            in_run = False
            passages = []
    if passages:
        yield document()
