"""BERT's own pre-training text: a sentence a line, a blank line between documents.

Source: google-research/bert, `create_pretraining_data.py` and `sample_text.txt`. Files with a
paragraph a line read the same.
"""

from collections.abc import Iterator

from etils import epath

from biobert_jax.corpus.documents import Document, ReadCounts, clean_passage
from biobert_jax.corpus.readers.compressed import read_lines


def read_text(path: epath.PathLike, *, counts: ReadCounts | None = None) -> Iterator[Document]:
    """Yields a document per run of non-blank lines; its id is `<file name>:<number from 1>`.

    Raises:
      CorpusFileError: the file cannot be read, or is not UTF-8.
    """
    counts = ReadCounts() if counts is None else counts
    name = epath.Path(path).name
    number = 0
    passages: list[str] = []

    def document() -> Document:
        counts.documents += 1
        return Document(f"{name}:{number}", tuple(passages))

    for _, line in read_lines(path, counts):
        passage = clean_passage(line)
        if passage:
            passages.append(passage)
        elif passages:
            number += 1
            yield document()
            passages = []
    if passages:
        number += 1
        yield document()
