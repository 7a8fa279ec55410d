"""Objects as streams, of which no more than a buffer is ever here."""

import io
import os

import google_crc32c

from biobert_jax.storage.connection import run, split
from biobert_jax.storage.objects import (
    StoredObject,
    check_crc32c,
    encoded_crc32c,
    media_address,
    stat,
)

BUFFER_BYTES = 4 << 20


def open_read(path: str | os.PathLike, buffer_bytes: int = BUFFER_BYTES) -> io.BufferedReader:
    """Opens an object for reading, from any place on; each buffer's fill is a request of its own.

    All of it is of one generation; what is read from the beginning to the end in order is compared
    with the object's CRC32C.

    Raises, here and while it is read, as `objects.stat`.
    """
    return io.BufferedReader(_ObjectReader(stat(path)), buffer_bytes)


class _ObjectReader(io.RawIOBase):
    def __init__(self, found: StoredObject):
        super().__init__()
        self._found = found
        self._position = 0
        self._sums, self._summed = google_crc32c.Checksum(), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._found.size}
        self._position = base[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer) -> int:
        data = self._fetch(min(len(buffer), self._found.size - self._position))
        buffer[: len(data)] = data
        if self._position == self._summed:
            self._sums.update(data)
            self._summed += len(data)
            if self._summed == self._found.size:
                check_crc32c(self._found, encoded_crc32c(self._sums))
        self._position += len(data)
        return len(data)

    def _fetch(self, size: int) -> bytes:
        if size <= 0:
            return b""
        last = self._position + size - 1

        async def fetch(connection) -> bytes:
            _, content = await connection._call(
                "GET",
                media_address(connection),
                *split(self._found.path),
                headers={"Range": f"bytes={self._position}-{last}"},
                alt="media",
                generation=self._found.generation,
            )
            return content

        return run(self._found.path, "read", fetch)
