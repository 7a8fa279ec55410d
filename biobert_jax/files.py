"""Files and folders written whole or not at all, and their hashes."""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def replacing(path: str | os.PathLike, mode: str = "wb", **options: Any) -> Iterator[IO[Any]]:
    """Opens a file for writing that takes the place of `path` when the block ends without an error.

    A reader sees the old file or the new one, never a part. What is written goes to a temporary
    file beside it, which is flushed to the disk and renamed; after an error it is removed, and the
    old file stays. Folders on the way are made. Rights are as umask says. A link is followed; what
    is no regular file (a pipe, /dev/stdout) is written as it is.

    Args:
      mode: "wb", or "w" for text, which is UTF-8 unless `options` say otherwise.
      options: as `open`'s.

    Raises:
      OSError: `path` cannot be written; EBUSY where another process is writing it.
    """
    if "b" not in mode:
        options.setdefault("encoding", "utf-8")
    path = Path(path)
    if is_stream(path):
        with open(path, mode.replace("w", "a"), **options) as stream:
            yield stream
        return
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    with _blaming(path, temporary):
        # Renamed or removed while it is locked: after that, the name is the next writer's.
        with open(_open_locked(temporary, path), mode, **options) as stream:
            try:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
                os.replace(temporary, path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        _flush(path.parent)


@contextlib.contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary folder that becomes `path` when the block ends without an error.

    Its files are flushed to the disk, and it is renamed; after an error nothing of it stays. What
    a killed process left of one is removed first.

    Raises:
      OSError: the folder cannot be made, or `path` is there and not an empty folder; EBUSY where
        another process is writing it.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    with _blaming(path, temporary):
        # Renamed or removed while it is locked, as in `replacing`.
        descriptor = _locked_folder(temporary, path)
        try:
            for left in temporary.iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            yield temporary
            for folder, _, names in os.walk(temporary):
                for flushed in (*names, "."):
                    _flush(Path(folder, flushed))
            os.replace(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        finally:
            os.close(descriptor)
        _flush(path.parent)


def write_text_atomically(path: str | os.PathLike, text: str) -> None:
    """`write_bytes_atomically` of a text, as UTF-8."""
    write_bytes_atomically(path, text.encode("utf-8"))


def write_bytes_atomically(path: str | os.PathLike, content: bytes) -> None:
    """Writes a whole file by `replacing`."""
    with replacing(path) as stream:
        stream.write(content)


def try_to_write(path: str | os.PathLike) -> None:
    """Finds out whether `replacing` could write there; leaves nothing behind.

    Raises:
      OSError: a folder on the way cannot be made, nothing can be written into it, or the path is
        a folder itself.
    """
    path = Path(path)
    if is_stream(path):
        return
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path = Path(os.path.realpath(path))
    missing = [folder for folder in path.parents if not folder.exists()]  # the innermost first
    # Not the name that is written to: another process may be at it.
    trial = path.with_name(f".{path.name}.try")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    finally:
        for folder in missing:
            with contextlib.suppress(OSError):  # never made, or in use by others by now
                folder.rmdir()


def is_special(path: str | os.PathLike) -> bool:
    """Whether a path leads to what is neither a file nor a folder, such as a pipe or a terminal.

    What such a thing holds can be read only once.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # none there, or no path at all
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def is_stream(path: str | os.PathLike) -> bool:
    """Whether a path is special, or names what this process has open: `/dev/stdin`, `/dev/fd/3`.

    That may be a link to a file, where the shell redirects from or to one. Yet it cannot be
    replaced, has a place in it, and means nothing to another process.
    """
    return os.fspath(path).startswith(("/dev/std", "/dev/fd/", "/proc/")) or is_special(path)


def try_lock(file: int | IO[Any]) -> bool:
    """Locks an open file until it is closed or the process ends; False if another process has it.

    On a file system without locks it is True.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def file_sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _temporary(path: Path) -> Path:
    """Always the same name, so that what a killed process left is used up and never piles up."""
    return path.with_name(f".{path.name}.tmp")


@contextlib.contextmanager
def _blaming(path: Path, temporary: Path) -> Iterator[None]:
    """Errors name the file that was asked for, not one that the user never wrote."""
    try:
        yield
    except OSError as error:
        full = error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        name = str(temporary if full else error.filename)
        if name.startswith(str(temporary)):
            error.filename, error.filename2 = str(path) + name.removeprefix(str(temporary)), None
        raise


def _open_locked(temporary: Path, path: Path) -> int:
    """A descriptor of the temporary file, emptied, with a lock that ends with the process."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    descriptor = _locked(temporary, path, lambda: os.open(temporary, flags, 0o666))
    os.ftruncate(descriptor, 0)
    return descriptor


def _locked_folder(temporary: Path, path: Path) -> int:
    """A descriptor of the temporary folder, made if need be, with a lock that ends with it."""

    def open_folder() -> int:
        temporary.mkdir(exist_ok=True)
        return os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    return _locked(temporary, path, open_folder)


def _locked(temporary: Path, path: Path, open_it: Callable[[], int]) -> int:
    while True:
        descriptor = open_it()
        try:
            if not try_lock(descriptor):
                raise OSError(errno.EBUSY, "another process is writing it", str(path))
            # Whoever held the lock before may have renamed what was opened here.
            if temporary.exists() and os.path.samestat(os.fstat(descriptor), temporary.stat()):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _flush(path: Path) -> None:
    """Makes a file, or the renaming of one in a folder, outlast a loss of power."""
    # Not every file system can, and then there is nothing to be done.
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
