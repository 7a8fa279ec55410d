"""The text of a file, whole or line by line: one set of rules for every reader of text.

UTF-8, plain or gzip; a byte order mark is dropped. What is in another encoding or no text at all
is refused with the command that converts it.
"""

import codecs
import io
import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from etils import epath

from biobert_jax.corpus.documents import CorpusFileError, ReadCounts
from biobert_jax.corpus.readers.compressed import BUFFER_BYTES, open_bytes
from biobert_jax.corpus.readers.sniff import Expected

# The longest line, and the longest document of text, in bytes: what is read at a time takes
# several times that in memory. PMC's longest article has some MB.
MAX_RECORD_BYTES = 64 << 20
# Lines end at \n. In a file that has \r and no \n in its first bytes, they end there.
_HEAD_BYTES = 1 << 16
_SKIP_BYTES = 1 << 20


class BadLine(NamedTuple):
    """Stands for a line that cannot be used, with the reason.

    Attributes:
      too_long: the line is over `MAX_RECORD_BYTES`; else it is not UTF-8.
    """

    reason: str
    too_long: bool


def read_lines(
    path: epath.PathLike, counts: ReadCounts | None = None, *, expected: Expected | None = None
) -> Iterator[tuple[int, str]]:
    """As `lines_and_faults`, of a whole file, for those who can do with no line bad.

    Raises:
      CorpusFileError: as `open_bytes`; a line is too long or not UTF-8.
    """
    for number, line in lines_and_faults(path, counts, expected=expected):
        if isinstance(line, BadLine):
            raise CorpusFileError(os.fspath(path), str(number), line.reason)
        yield number, line


def lines_and_faults(
    path: epath.PathLike,
    counts: ReadCounts | None = None,
    *,
    expected: Expected | None = None,
    start: int = 0,
    stop: int | None = None,
    first_number: int = 1,
) -> Iterator[tuple[int, str | BadLine]]:
    r"""Yields (line number from 1, line without its \n or \r\n) of a UTF-8 file.

    Lines end at \n only: text from PDFs and web pages holds U+2028, form feeds and the like
    inside sentences. Old Macintosh files, which have \r alone, are read as they are meant. A byte
    order mark is dropped. Lines longer than `MAX_RECORD_BYTES` are passed over a piece at a time.

    Args:
      path: a local or gs:// file, plain or gzip.
      counts: `counts.bytes` grows by the decompressed bytes read.
      expected: what the file is read as; one that is plainly of another format is refused.
      start, stop: bytes to read of a plain file, from a line's beginning to another's.
      first_number: the number of the first line there.

    Raises:
      CorpusFileError: as `open_bytes`.
    """
    offset = start
    with open_bytes(path, counts, expected=expected, start=start, stop=stop) as stream:
        lines = _at_line_feeds(stream) if start == 0 else stream
        number = first_number
        while raw := lines.readline(MAX_RECORD_BYTES):
            size = len(raw)
            if size == MAX_RECORD_BYTES and not raw.endswith(b"\n"):
                size += _skip_line(lines)
            if size > MAX_RECORD_BYTES:
                yield number, BadLine(f"a line of more than {MAX_RECORD_BYTES >> 20} MiB", True)
            else:
                yield number, _decoded_line(raw, offset)
            number += 1
            offset += size


def read_text(
    path: epath.PathLike, *, expected: Expected | None = None, max_bytes: int = MAX_RECORD_BYTES
) -> str:
    """The whole text of a UTF-8 file, plain or gzip, to the code point; a byte order mark is not.

    Line ends stay as they are, so that offsets count in it.

    Args:
      expected: as for `lines_and_faults`.
      max_bytes: a longer text, unpacked, is refused.

    Raises:
      CorpusFileError: as `open_bytes`; the file is longer, or not UTF-8 (with line and byte).
    """
    with open_bytes(path, expected=expected) as stream:
        data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        reason = f"a text of more than {max_bytes >> 20} MiB: cut it into several files"
        raise CorpusFileError(os.fspath(path), "", reason)
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        ends = data.count(b"\n", 0, error.start) or data.count(b"\r", 0, error.start)
        reason = not_utf8(data, error.start, 0)
        raise CorpusFileError(os.fspath(path), str(ends + 1), reason) from error


class LineCounts(NamedTuple):
    """Lines, and runs of lines that are not blank: documents of text."""

    lines: int
    documents: int


def count_lines(path: str, start: int, stop: int | None) -> LineCounts:
    """Counts what `lines_and_faults` yields of a range of bytes of a plain file.

    A range begins and ends with a line, and no run of lines reaches beyond it.

    Raises:
      CorpusFileError: as `open_bytes`.
    """
    num_lines = documents = 0
    in_run = False
    with open_bytes(path, start=start, stop=stop) as stream:
        while raw := stream.readline(MAX_RECORD_BYTES):
            is_blank = _is_blank(raw, start == 0 and num_lines == 0)
            if len(raw) == MAX_RECORD_BYTES and not raw.endswith(b"\n"):
                # A line that is too long is a fault, and not blank.
                is_blank = _skip_line(stream) == 0 and is_blank
            num_lines += 1
            documents += not is_blank and not in_run
            in_run = not is_blank
    return LineCounts(num_lines, documents)


def ends_lines_at_returns(path: str) -> bool:
    r"""Whether a plain file's lines end at \r. Raises CorpusFileError as `open_bytes`."""
    with open_bytes(path) as stream:
        return isinstance(_at_line_feeds(stream).raw, _LineFeeds)


def not_utf8(data: bytes, place: int, offset: int) -> str:
    """Why bytes are no UTF-8, and what to do.

    Args:
      data: the bytes, from the beginning of the file or of a line.
      place: of the first byte that is wrong, in `data`.
      offset: of `data` in the text.
    """
    where = f"not UTF-8 at byte {offset + place} of the text"
    if offset == 0 and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return f"{where}: convert it: iconv -f utf-16 -t utf-8"
    if b"\0" in data:
        return f"{where}: this is no text, but a binary file"
    # Most such files come from Windows; read as Latin-1, its quotes and dashes would become
    # control characters.
    return f"{where}: convert it: iconv -f cp1252 -t utf-8 (for Western European text)"


def _decoded_line(raw: bytes, offset: int) -> str | BadLine:
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return BadLine(not_utf8(raw, error.start, offset), False)
    if offset == 0:
        line = line.removeprefix("\ufeff")
    return line.removesuffix("\n").removesuffix("\r")


def _is_blank(raw: bytes, is_first: bool) -> bool:
    stripped = raw.strip()
    if stripped and 0x20 < stripped[0] < 0x80:
        return False
    line = _decoded_line(raw, 0 if is_first else 1)
    return isinstance(line, str) and (not line or line.isspace())


def _skip_line(stream: BinaryIO) -> int:
    """Reads to the end of a line; returns the bytes of it, the line feed not among them."""
    size = 0
    while piece := stream.readline(_SKIP_BYTES):
        size += len(piece)
        if piece.endswith(b"\n"):
            break
    return size


def _at_line_feeds(stream: io.BufferedReader) -> io.BufferedReader:
    head = stream.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    # A \r that comes last may have its \n behind it.
    if b"\n" in head or b"\r" not in head[:-1]:
        return stream
    return io.BufferedReader(_LineFeeds(stream), BUFFER_BYTES)


class _LineFeeds(io.RawIOBase):
    r"""A stream with \n for every \r."""

    def __init__(self, stream: io.BufferedReader):
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        data = self._stream.read1(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(data)] = data
        return len(data)
