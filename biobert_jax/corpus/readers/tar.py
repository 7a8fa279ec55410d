"""Reads tar archives front to back, a member at a time, without writing anything to disk.

Python's tarfile, read as a stream, takes a damaged header for the archive's end and drops what
follows without a word; here that is an error. Source of the format: POSIX.1-2017, pax, "ustar
Interchange Format" and "pax Header Block", and GNU tar's manual, "Basic Tar Format".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from biobert_jax.corpus.documents import CorpusFileError
from biobert_jax.corpus.readers.xml import CHUNK_BYTES

BLOCK_BYTES = 512
# Long names and pax records are read into memory as a whole.
_MAX_EXTENSION_BYTES = 1 << 20
_NUL_BLOCK = bytes(BLOCK_BYTES)
_FILE_TYPES = b"0\x007"
_NOT_FILES = {
    ord("1"): "a hard link",
    ord("2"): "a symbolic link",
    ord("3"): "a device",
    ord("4"): "a device",
    ord("6"): "a named pipe",
}


@dataclass
class Member:
    """One file of an archive.

    Attributes:
      name: as the archive has it, without what a terminal could not print.
      size: in bytes, as the header has it.
      fault: why it must not be read, or "".
    """

    name: str
    size: int
    fault: str
    _stream: BinaryIO
    _path: str
    _left: int

    def chunks(self) -> Iterator[bytes]:
        """The member's bytes in pieces, once; all of them, or CorpusFileError."""
        while self._left:
            yield self._take(min(self._left, CHUNK_BYTES))

    def skip(self) -> None:
        """Moves to the next header."""
        for _ in self.chunks():
            pass
        padding = -self.size % BLOCK_BYTES
        if len(self._stream.read(padding)) < padding:
            raise _cut(self._path)

    def _take(self, size: int) -> bytes:
        data = self._stream.read1(size)
        if not data:
            raise _cut(self._path)
        self._left -= len(data)
        return data


def is_tar(head: bytes) -> bool:
    """Whether a file's first block is a tar header, or the end of an empty archive."""
    return len(head) == BLOCK_BYTES and (head == _NUL_BLOCK or _checksum_fits(head))


def tar_members(stream: BinaryIO, path: str, head: bytes) -> Iterator[Member]:
    """Yields each file of an archive; directories and the like are passed over.

    Args:
      stream: the archive after its first block.
      path: for errors.
      head: the first block.

    Raises:
      CorpusFileError: the archive is damaged or ends too early, which may show only after members
        have been yielded.
    """
    long_name, pax = "", {}
    offset = 0
    while head != _NUL_BLOCK:
        if len(head) < BLOCK_BYTES:
            raise _cut(path)
        if not _checksum_fits(head):
            raise _damaged(path, f"byte {offset}", "the checksum of a header does not fit")
        kind = head[156]
        size = _size(head, path, offset)
        if kind in _FILE_TYPES:
            size = pax.get("size", size)
        member = Member("", size, "", stream, path, size)
        if kind in b"LxKg":
            if size > _MAX_EXTENSION_BYTES:
                raise _damaged(path, f"byte {offset}", f"a name or an attribute of {size} bytes")
            data = b"".join(member.chunks())
            if kind == ord("L"):
                long_name = _text(data)
            elif kind == ord("x"):
                pax = _pax(data, path, offset)
        else:
            member.name = pax.get("path") or long_name or _name(head)
            long_name, pax = "", {}
            if kind != ord("5"):
                member.fault = _fault(member.name, kind)
                member.name = _printable(member.name)
                yield member
        member.skip()
        offset += BLOCK_BYTES + size + -size % BLOCK_BYTES
        head = stream.read(BLOCK_BYTES)
    # Gzip's checksum comes last, so all is read; a second archive would be lost without a word.
    while data := stream.read1(CHUNK_BYTES):
        if data.strip(b"\0"):
            raise _damaged(path, "", "there is data after the archive's end")


def _checksum_fits(header: bytes) -> bool:
    digits = header[148:156].strip(b" \0")
    if not re.fullmatch(rb"[0-7]+", digits):
        return False
    expected = int(digits, 8)
    rest = header[:148] + b" " * 8 + header[156:]
    # Some old writers summed signed characters.
    return expected == sum(rest) or expected == sum(rest) - 256 * sum(b > 127 for b in rest)


def _size(header: bytes, path: str, offset: int) -> int:
    if header[156] in b"123456":  # No data follows, whatever stands there.
        return 0
    if header[156] in b"MS":  # More headers follow, in forms of their own.
        raise CorpusFileError(path, f"byte {offset}", "sparse or split files; pack them anew")
    if header[124] == 0x80:  # GNU's binary form, for more than 8 GB.
        return int.from_bytes(header[125:136], "big")
    digits = header[124:136].strip(b" \0")
    if not re.fullmatch(rb"[0-7]*", digits):
        raise _damaged(path, f"byte {offset}", "the size of a member is no number")
    return int(digits or b"0", 8)


def _name(header: bytes) -> str:
    name = _text(header[:100])
    # The prefix is POSIX's; GNU tar keeps times in its place.
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _pax(data: bytes, path: str, offset: int) -> dict:
    """The path and size of a pax header's records, `<length> <key>=<value>\\n`."""
    found = {}
    while data:
        match = re.match(rb"([0-9]{1,7}) ([^=]+)=", data)
        length = int(match[1]) if match else 0
        if match is None or length <= match.end() or data[length - 1 : length] != b"\n":
            raise _damaged(path, f"byte {offset}", "an attribute of a member cannot be read")
        value = data[match.end() : length - 1]
        if match[2] == b"path":
            found["path"] = _text(value)
        elif match[2] == b"size":
            if not re.fullmatch(rb"[0-9]{1,18}", value):
                raise _damaged(path, f"byte {offset}", "the size of a member is no number")
            found["size"] = int(value)
        data = data[length:]
    return found


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "replace")


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in name)


def _fault(name: str, kind: int) -> str:
    if kind in _NOT_FILES:
        return f"{_NOT_FILES[kind]}, not a file"
    if kind not in _FILE_TYPES:
        return f"of unknown type {chr(kind)!r}, not a file"
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[/\\]", name):
        return "an absolute path, which no package of articles has"
    if ".." in re.split(r"[/\\]", name):
        return "a path that leaves the archive's folder (..)"
    return ""


def _cut(path: str) -> CorpusFileError:
    return CorpusFileError(path, "", "the archive ends too early; fetch or write the file again")


def _damaged(path: str, position: str, what: str) -> CorpusFileError:
    reason = f"the archive is damaged ({what}); fetch or write the file again"
    return CorpusFileError(path, position, reason)
