"""Tokenized documents on their way from the reading to the packing tasks, and their index.

One file holds, document by document, the token ids and the lengths of the sentences; a second an
index entry a document, a third its near-duplicate bands.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from biobert_jax.corpus.rows.pairs import SentenceTokens
from biobert_jax.files import replacing, write_bytes_atomically

INDEX_DTYPE = np.dtype(
    [
        ("id", "<u8"),  # a hash of the document's id
        ("content", "<u8"),  # a hash of its text
        ("revision", "<i8"),
        ("file", "<u4"),  # number of the input file
        ("words", "<u4"),
        ("tokens", "<u4"),
        ("unknown", "<u4"),  # [UNK] among the tokens
        ("sentences", "<u4"),  # lengths stored; 0 where documents are not split
        ("held_out", "?"),
    ]
)
BAND_DTYPE = np.dtype("<u8")
DELETION_DTYPE = np.dtype([("id", "<u8"), ("file", "<u4")])
LENGTH_DTYPE = np.dtype("<u4")
# Documents are read in blocks of about so many bytes.
READ_BYTES = 4 << 20


class EncodedWriter:
    """Writes a task's documents, their index and their bands; published at the end, all or none.

    A context manager. Nothing is kept in memory, whatever the number of documents.
    """

    def __init__(self, documents: Path, index: Path, bands: Path, dtype: np.dtype):
        self._paths, self._dtype = (documents, index, bands), dtype
        self._entry = np.zeros(1, INDEX_DTYPE)

    def __enter__(self) -> "EncodedWriter":
        with contextlib.ExitStack() as stack:
            self._files = [
                stack.enter_context(replacing(path, buffering=1 << 20)) for path in self._paths
            ]
            self._open = stack.pop_all()
        return self

    def add(
        self,
        ids: np.ndarray,
        sentence_lengths: list[int],
        entry: dict[str, Any],
        bands: np.ndarray | None = None,
    ) -> None:
        """Appends a document; `entry` holds what the index says beside the sizes."""
        documents, index, band_file = self._files
        documents.write(ids.astype(self._dtype).tobytes())
        documents.write(np.array(sentence_lengths, LENGTH_DTYPE).tobytes())
        values = {**entry, "tokens": len(ids), "sentences": len(sentence_lengths)}
        self._entry[0] = tuple(values[name] for name in INDEX_DTYPE.names)
        index.write(self._entry.tobytes())
        if bands is not None:
            band_file.write(bands.astype(BAND_DTYPE).tobytes())

    def mark(self) -> list[int]:
        """A place to go back to."""
        return [file.tell() for file in self._files]

    def go_back(self, mark: list[int]) -> None:
        """Forgets what was added since the mark: the documents of a file found to be bad."""
        for file, place in zip(self._files, mark, strict=True):
            file.seek(place)
            file.truncate()

    def __exit__(self, kind, error, trace) -> None:
        self._open.__exit__(kind, error, trace)


def write_array(path: Path, array: np.ndarray) -> None:
    """Writes an array's bytes as a file, whole or not at all."""
    write_bytes_atomically(path, array.tobytes())


def read_index(path: Path) -> np.ndarray:
    """A task's index, `INDEX_DTYPE` [documents]."""
    return np.fromfile(path, INDEX_DTYPE)


def read_documents(
    path: Path, index: np.ndarray, chosen: np.ndarray, dtype: np.dtype
) -> Iterator[SentenceTokens]:
    """Yields the chosen documents in order, within bounded memory.

    Args:
      index: of the file's documents [n].
      chosen: bool [n].
      dtype: of the stored ids.
    """
    id_bytes = index["tokens"].astype(np.int64) * dtype.itemsize
    ends = np.cumsum(id_bytes + index["sentences"].astype(np.int64) * LENGTH_DTYPE.itemsize)
    # A block ends with the document in which it comes to its size.
    blocks = np.flatnonzero(np.diff(ends // READ_BYTES, prepend=0))
    first = 0
    with open(path, "rb") as stream:
        for last in [*(blocks + 1).tolist(), len(index)]:
            if not chosen[first:last].any():
                first = last
                continue
            start = int(ends[first - 1]) if first else 0
            stream.seek(start)
            block = stream.read(int(ends[last - 1]) - start)
            for number in (np.flatnonzero(chosen[first:last]) + first).tolist():
                place = (int(ends[number - 1]) if number else 0) - start
                ids = np.frombuffer(block, dtype, index["tokens"][number], place)
                lengths = np.frombuffer(
                    block, LENGTH_DTYPE, index["sentences"][number], place + int(id_bytes[number])
                )
                yield SentenceTokens(ids.astype(np.int32), [0, *np.cumsum(lengths).tolist()])
            first = last
