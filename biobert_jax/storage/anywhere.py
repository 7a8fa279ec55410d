"""What is done alike with files of this machine's file systems and with objects in buckets.

Paths are pathlib.Path or, of buckets, etils.epath.Path, which have most of it themselves: parts,
reading, listing. Here is what must be whole or not at all, or is asked for in another way.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from biobert_jax import files, storage

if TYPE_CHECKING:
    from etils import epath

    AnyPath = Path | epath.Path
else:
    AnyPath = os.PathLike


def absolute(path: str | os.PathLike) -> AnyPath:
    """A path that means the same from any working directory."""
    found = storage.path(path)
    return found if storage.is_remote(found) else found.absolute()


def exists(path: AnyPath) -> bool:
    """Whether there is a file of this name; that nothing could be learnt is an error."""
    return storage.exists(path) if storage.is_remote(path) else path.exists()


def is_folder(path: AnyPath) -> bool:
    """Whether there is a folder of this name, in a bucket: anything in it."""
    return bool(storage.list_folder(path)) if storage.is_remote(path) else path.is_dir()


def read_bytes(path: AnyPath) -> bytes:
    """A file's content."""
    return storage.read_bytes(path) if storage.is_remote(path) else path.read_bytes()


def names_in(folder: AnyPath) -> list[str]:
    """The names of the files and folders in a folder; none where there is none."""
    if storage.is_remote(folder):
        return sorted({name.partition("/")[0] for name in files_below(folder)})
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def files_below(folder: AnyPath) -> dict[str, int]:
    """The bytes of the files in a folder and in those within it, by their names from there on."""
    if storage.is_remote(folder):
        start = len(os.fspath(folder).rstrip("/")) + 1
        return {one.path[start:]: one.size for one in storage.list_folder(folder)}
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in found}


def modified(path: AnyPath) -> float:
    """When a file was written, in Unix seconds."""
    if storage.is_remote(path):
        return storage.stat(path).updated.timestamp()
    return path.stat().st_mtime


def file_sha256(path: AnyPath) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    if not storage.is_remote(path):
        return files.file_sha256(path)
    with storage.open_read(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_bytes(path: AnyPath, content: bytes) -> None:
    """Writes a file whole or not at all."""
    if storage.is_remote(path):
        storage.write_bytes(path, content)
    else:
        files.write_bytes_atomically(path, content)


def write_text(path: AnyPath, text: str) -> None:
    """`write_bytes` of a text, as UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def remove(path: AnyPath) -> None:
    """Deletes a file; none being there is no error."""
    if storage.is_remote(path):
        storage.delete(path)
    else:
        path.unlink(missing_ok=True)


def remove_folder(path: AnyPath) -> None:
    """Deletes a folder with all that is in it; none being there is no error."""
    if storage.is_remote(path):
        storage.delete_folder(path)
    else:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def local_copy(path: AnyPath) -> Iterator[Path]:
    """A file of this machine with a file's content: itself, or a copy that is then removed."""
    if not storage.is_remote(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="biobert_jax-") as folder:
        copy = Path(folder, path.name)
        storage.download(path, copy)
        yield copy
