"""Local copies of what is in a bucket, for what can only work on files of this machine.

They lie in folders in TMPDIR that go with the process; what processes that were killed left there
is removed by the next. Messages call a copy by the name of what it was made of: see `renamed`.
"""

import contextlib
import functools
import os
import shutil
import tempfile
import weakref
from pathlib import Path

from biobert_jax.files import try_lock
from biobert_jax.storage.connection import is_remote
from biobert_jax.storage.faults import MissingError
from biobert_jax.storage.folders import download_folder
from biobert_jax.storage.objects import exists, list_folder
from biobert_jax.storage.transfers import download

_PREFIX, _LOCK = "biobert-", "lock"
# Of the folder of a file that is brought, what else is taken along: programs look beside a file
# for its vocabulary, config or abstracts.
_BESIDE_BYTES = 64 << 20
_names: dict[str, str] = {}


def temporary_folder(owner: object) -> Path:
    """A folder in TMPDIR that goes with `owner`; those of dead processes are removed first."""
    root = Path(tempfile.gettempdir())
    for left in root.glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError), open(left, "r+") as lock:
            if try_lock(lock):
                shutil.rmtree(left.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
    # Held as long as the folder is; it has its name when it is held, so that no other takes it.
    lock = open(folder / f".{_LOCK}", "w")
    try_lock(lock)
    os.replace(folder / f".{_LOCK}", folder / _LOCK)

    def remove() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()

    weakref.finalize(owner, remove)
    return folder


@functools.cache
def _own_folder(_process: int) -> Path:
    return temporary_folder(_names_owner)


class _Owner:
    """Lives as long as the process."""


_names_owner = _Owner()


def place_for(path: str) -> Path:
    """A local path for a copy of `path`, with its last name, in a folder of its own."""
    folder = tempfile.mkdtemp(dir=_own_folder(os.getpid()))
    place = Path(folder, path.rstrip("/").rpartition("/")[2])
    _names[folder] = path.rstrip("/").rpartition("/")[0]
    return place


def forget(place: Path) -> None:
    """Removes a copy."""
    shutil.rmtree(place.parent, ignore_errors=True)


def renamed(text: str) -> str:
    """A message, in which copies are called by what they were made of."""
    for folder, name in _names.items():
        if folder in text:
            text = text.replace(folder, name)
    return text


def bring(path: str) -> Path:
    """A local copy of a file, with the small files beside it, or of a folder.

    Raises:
      MissingError: there is neither.
      StorageError, OSError: as `download`.
    """
    if not is_remote(path):
        return Path(path)
    place = place_for(path)
    if not path.endswith("/") and exists(path):
        for found in list_folder(path.rpartition("/")[0], recursive=False):
            if found.path == path or found.size <= _BESIDE_BYTES:
                download(found.path, place.with_name(found.name))
        return place
    try:
        download_folder(path, place)
    except MissingError as error:
        raise MissingError(f"{path}: there is no such object, and no folder") from error
    return place


@functools.cache
def bring_once(path: str) -> Path:
    """As `bring`; the copy serves as long as the process lives."""
    return bring(path)
