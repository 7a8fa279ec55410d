"""Opens corpus files, plain or gzip, so that every fault names the file and the place.

Gzip is told by its first bytes, not by the name: browsers and mirrors unpack files and keep the
`.gz`, and the reverse.
"""

import contextlib
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from etils import epath

from biobert_jax import storage
from biobert_jax.corpus.documents import CorpusFileError, ReadCounts
from biobert_jax.corpus.readers.sniff import HEAD_BYTES, Expected, wrong_format

_GZIP_MAGIC = b"\x1f\x8b"
BUFFER_BYTES = 1 << 18


class _Source(io.RawIOBase):
    """The file's bytes, decompressed; turns whatever goes wrong below into CorpusFileError."""

    def __init__(
        self, stream: BinaryIO, path: str, counts: ReadCounts | None, num_bytes: int | None
    ):
        super().__init__()
        # read1 returns what one read below gives, so that a fault does not take along the good
        # bytes before it.
        self._read = stream.read1
        self._path = path
        self._counts = counts
        self._position = 0
        self._left = num_bytes
        self._ahead = b""
        self._fault: CorpusFileError | None = None

    def readable(self) -> bool:
        return True

    def head(self, size: int) -> bytes:
        """The next `size` bytes, or all there are; they stay to be read, and a fault to be met."""
        try:
            while len(self._ahead) < size and (data := self._take(size - len(self._ahead))):
                self._ahead += data
        except CorpusFileError as error:
            self._fault = error
        return self._ahead

    def readinto(self, buffer) -> int:
        if self._ahead:
            data, self._ahead = self._ahead[: len(buffer)], self._ahead[len(buffer) :]
        elif self._fault is not None:
            raise self._fault
        else:
            data = self._take(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _take(self, size: int) -> bytes:
        size = size if self._left is None else min(size, self._left)
        try:
            data = self._read(size)
        except (OSError, EOFError, zlib.error) as error:
            position = f"byte {self._position}"
            raise CorpusFileError(self._path, position, _reason(error)) from error
        self._position += len(data)
        if self._left is not None:
            self._left -= len(data)
        if self._counts is not None:
            self._counts.bytes += len(data)
        return data


def _reason(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "the gzip data ends too early; fetch or write the file again"
    if isinstance(error, zlib.error | gzip.BadGzipFile):
        return f"the gzip data is damaged ({error}); fetch or write the file again"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def open_stored(path: str | os.PathLike) -> BinaryIO:
    """Opens a local file or an object for reading, as it is stored. Raises OSError, StorageError.

    What of an object cannot be read is no fault of it: the error is not to be taken for one.
    """
    if storage.is_remote(path):
        return storage.open_read(path)
    return open(path, "rb")


def is_gzip(path: str) -> bool:
    """Whether a file is packed with gzip. Raises as `open_stored`."""
    with open_stored(path) as stream:
        return stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC


@contextlib.contextmanager
def open_bytes(
    path: epath.PathLike,
    counts: ReadCounts | None = None,
    *,
    expected: Expected | None = None,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[io.BufferedReader]:
    """Opens a file for reading; gzip, of one member or many, is decompressed on the way.

    Args:
      path: a local or gs:// file.
      counts: `counts.bytes` grows by the decompressed bytes read.
      expected: what the file is read as; one that is plainly of another format is refused.
      start, stop: the bytes to read, of a file that is not gzip.

    Yields:
      A buffered binary stream.

    Raises:
      CorpusFileError: the file cannot be opened, is of another format or packed by another
        program, or, while it is read, is truncated or damaged.
        Gzip's checksum comes last, so damaged bytes may have been handed out before it fails.
    """
    name = os.fspath(path)
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(open_stored(path))
            head = stream.peek(8)[:8]  # a pipe can be peeked into but not rewound
        except (OSError, storage.MissingError) as error:
            raise CorpusFileError(name, "", _reason(error)) from error
        if head.startswith(_GZIP_MAGIC):
            stream = stack.enter_context(gzip.GzipFile(fileobj=stream, mode="rb"))
        if start:
            stream.seek(start)
        source = _Source(stream, name, counts, None if stop is None else stop - start)
        # What begins in the middle has no head that tells.
        if not start and (reason := wrong_format(source.head(HEAD_BYTES), expected or Expected())):
            raise CorpusFileError(name, "", reason)
        yield io.BufferedReader(source, BUFFER_BYTES)
