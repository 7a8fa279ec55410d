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

from biobert_jax.corpus.documents import CorpusFileError, ReadCounts

_GZIP_MAGIC = b"\x1f\x8b"
# Read as text these would be reported as bad UTF-8, with advice that cannot help.
_OTHER_MAGIC = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstandard",
}
_BUFFER_BYTES = 1 << 18


class _Source(io.RawIOBase):
    """The file's bytes, decompressed; turns whatever goes wrong below into CorpusFileError."""

    def __init__(self, stream: BinaryIO, path: str, counts: ReadCounts | None):
        super().__init__()
        # read1 returns what one read below gives, so that a fault does not take along the good
        # bytes before it. Streams from object stores have only read.
        self._read = getattr(stream, "read1", stream.read)
        self._path = path
        self._counts = counts
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        try:
            data = self._read(len(buffer))
        except Exception as error:  # Object stores raise their own types, not only OSError.
            position = f"byte {self._position}"
            raise CorpusFileError(self._path, position, _reason(error)) from error
        buffer[: len(data)] = data
        self._position += len(data)
        if self._counts is not None:
            self._counts.bytes += len(data)
        return len(data)


def _reason(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "the gzip data ends too early; fetch or write the file again"
    if isinstance(error, zlib.error | gzip.BadGzipFile):
        return f"the gzip data is damaged ({error}); fetch or write the file again"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def _head(stream: BinaryIO) -> bytes:
    """The file's first bytes, which stay to be read."""
    if hasattr(stream, "peek"):  # A pipe can be peeked into but not rewound.
        return stream.peek(8)[:8]
    head = stream.read(8)
    stream.seek(0)
    return head


@contextlib.contextmanager
def open_bytes(path: epath.PathLike, counts: ReadCounts | None = None) -> Iterator[BinaryIO]:
    """Opens a file for reading; gzip, of one member or many, is decompressed on the way.

    Args:
      path: a local or gs:// file.
      counts: `counts.bytes` grows by the decompressed bytes read.

    Yields:
      A buffered binary stream.

    Raises:
      CorpusFileError: the file cannot be opened, or, while it is read, is truncated or damaged.
        Gzip's checksum comes last, so damaged bytes may have been handed out before it fails.
    """
    name = os.fspath(path)
    with contextlib.ExitStack() as stack:
        try:
            # epath's gs:// backend returns a context manager and not a stream.
            stream = stack.enter_context(epath.Path(path).open("rb"))
            head = _head(stream)
        except Exception as error:
            raise CorpusFileError(name, "", _reason(error)) from error
        for magic, kind in _OTHER_MAGIC.items():
            if head.startswith(magic):
                reason = f"this is a {kind} file; unpack it, or pack it with gzip"
                raise CorpusFileError(name, "", reason)
        if head.startswith(_GZIP_MAGIC):
            stream = stack.enter_context(gzip.GzipFile(fileobj=stream, mode="rb"))
        yield io.BufferedReader(_Source(stream, name, counts), _BUFFER_BYTES)


def read_lines(path: epath.PathLike, counts: ReadCounts | None = None) -> Iterator[tuple[int, str]]:
    r"""Yields (line number from 1, line without its \n or \r\n) of a UTF-8 file.

    Lines end at \n only: text from PDFs and web pages holds U+2028, form feeds and the like
    inside sentences. A byte order mark is dropped.

    Raises:
      CorpusFileError: as `open_bytes`, or the line is not UTF-8.
    """
    name = os.fspath(path)
    offset = 0
    with open_bytes(path, counts) as stream:
        for number, raw in enumerate(stream, start=1):
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                utf16 = offset == 0 and raw.startswith((b"\xff\xfe", b"\xfe\xff"))
                reason = (
                    f"not UTF-8 at byte {offset + error.start} of the text; "
                    f"convert it: iconv -f {'utf-16' if utf16 else 'latin1'} -t utf-8"
                )
                raise CorpusFileError(name, str(number), reason) from error
            if number == 1:
                line = line.removeprefix("\ufeff")
            offset += len(raw)
            yield number, line.removesuffix("\n").removesuffix("\r")
