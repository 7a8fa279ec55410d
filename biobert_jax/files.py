"""Files written whole or not at all, and their hashes."""

import contextlib
import errno
import hashlib
import os
from pathlib import Path


def write_text_atomically(path: str | os.PathLike, text: str) -> None:
    """`write_bytes_atomically` of a text, as UTF-8."""
    write_bytes_atomically(path, text.encode("utf-8"))


def write_bytes_atomically(path: str | os.PathLike, content: bytes) -> None:
    """Writes a file under a temporary name, flushes it to the disk and renames it into place.

    Folders on the way are made. A reader sees the old file or the new one, never a part. One
    process at a time may write a path: the temporary name is always the same, so that what a
    killed process left is overwritten.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        with open(temporary, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def try_to_write(path: str | os.PathLike) -> None:
    """Finds out whether `write_bytes_atomically` could write there; leaves nothing behind.

    Raises:
      OSError: a folder on the way cannot be made, nothing can be written into it, or the path is
        a folder itself.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    missing = [folder for folder in path.parents if not folder.exists()]  # the innermost first
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        temporary.unlink()
    finally:
        for folder in missing:
            with contextlib.suppress(OSError):  # never made, or in use by others by now
                folder.rmdir()


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def file_sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
