"""Whole folders between a bucket and this machine's disk, several files at a time."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from biobert_jax.errors import UserError
from biobert_jax.storage.connection import run, split
from biobert_jax.storage.faults import MissingError
from biobert_jax.storage.objects import StoredObject, list_async
from biobert_jax.storage.transfers import crc32c_of_file, download_async, upload_async

if TYPE_CHECKING:
    from biobert_jax.storage.gcsfs_patient import PatientFileSystem

T = TypeVar("T")

TRANSFERS_AT_A_TIME = 8


def download_folder(
    path: str | os.PathLike,
    local: str | os.PathLike,
    *,
    wanted: Callable[[str], bool] = lambda name: True,
) -> list[StoredObject]:
    """Copies the objects of a folder, and of those within it, into a local one.

    Args:
      local: made where it is missing; files of the same names are replaced.
      wanted: tells from a name within the folder, `a/b.txt`, whether to copy the object.

    Raises:
      MissingError: there is none.
      StorageError, OSError: as `transfers.download`.
    """
    folder = os.fspath(path).rstrip("/")

    async def fetch(connection: "PatientFileSystem") -> list[StoredObject]:
        found = await _list(connection, folder)
        if not found:
            raise MissingError(f"{folder}: there is no such folder, or nothing in it")
        found = [one for one in found if wanted(_within(folder, one))]
        for one in found:
            if not {"", ".", ".."}.isdisjoint(_within(folder, one).split("/")):
                raise UserError(f"{one.path}: its name leads out of the folder: rename it")
        await _several(
            partial(download_async, connection, one, Path(local, _within(folder, one)))
            for one in found
        )
        return found

    return run(folder, "read", fetch)


def upload_folder(
    local: str | os.PathLike,
    path: str | os.PathLike,
    *,
    last: Sequence[str] = (),
    owned: Callable[[str], bool] = lambda name: False,
) -> None:
    """Copies a local folder's files, and those of folders within it, to objects.

    Those that are there already with the same bytes are not sent again, so that the same call
    after a crash goes on.

    Args:
      last: names, within the folder, of what says that it is whole: deleted before anything else
        is written, and written in this order when all else is there.
      owned: tells from a name whether an object that the local folder lacks is deleted; it is
        before `last` is written.

    Raises:
      StorageError, OSError: as `transfers.upload`.
    """
    folder, root = os.fspath(path).rstrip("/"), Path(local)
    names = sorted(str(file.relative_to(root)) for file in root.rglob("*") if file.is_file())

    async def send(connection: "PatientFileSystem") -> None:
        there = {_within(folder, one): one for one in await _list(connection, folder)}
        new = [name for name in names if not _same(there.get(name), root / name)]
        strange = [name for name in there if name not in names and owned(name)]
        if new or strange:
            await _delete(connection, [there[name] for name in reversed(last) if name in there])
        await _several(
            partial(upload_async, connection, root / name, f"{folder}/{name}")
            for name in new
            if name not in last
        )
        await _delete(connection, [there[name] for name in strange if name not in last])
        if new or strange:
            for name in last:
                await upload_async(connection, root / name, f"{folder}/{name}")

    run(folder, "write", send)


def delete_folder(
    path: str | os.PathLike, *, first: Collection[str] = (), keep: Collection[str] = ()
) -> int:
    """Deletes the objects of a folder, and of those within it; how many there were.

    Args:
      first: names, within the folder, that are deleted before all others: what says that it is
        whole.
      keep: names, within the folder, that stay.

    Raises:
      StorageError: no right to delete them, no credentials, no answer.
    """
    folder = os.fspath(path).rstrip("/")
    if not split(folder)[1]:
        raise UserError(f"{folder}: a whole bucket is not deleted: name a folder in it")

    async def remove(connection: "PatientFileSystem") -> int:
        found = [one for one in await _list(connection, folder) if _within(folder, one) not in keep]
        await _delete(connection, [one for one in found if _within(folder, one) in first])
        await _delete(connection, [one for one in found if _within(folder, one) not in first])
        return len(found)

    return run(folder, "write", remove)


async def _several(work: Iterable[Callable[[], Awaitable[T]]]) -> None:
    """Does all, a few at a time; the first error ends the others and is raised."""
    places = asyncio.Semaphore(TRANSFERS_AT_A_TIME)

    async def in_turn(one: Callable[[], Awaitable[T]]) -> None:
        async with places:
            await one()

    tasks = [asyncio.ensure_future(in_turn(one)) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _delete(connection: "PatientFileSystem", objects: Iterable[StoredObject]) -> None:
    async def delete(one: StoredObject) -> None:
        try:
            await connection._call("DELETE", "b/{}/o/{}", *split(one.path))
        except FileNotFoundError:
            pass  # gone already, or the answer to the first try was lost

    await _several(partial(delete, one) for one in objects)


async def _list(connection: "PatientFileSystem", folder: str) -> list[StoredObject]:
    bucket, name = split(folder)
    return await list_async(connection, bucket, name + "/" if name else "", recursive=True)


def _within(folder: str, one: StoredObject) -> str:
    return one.path.removeprefix(folder + "/")


def _same(there: StoredObject | None, file: Path) -> bool:
    if there is None or there.size != file.stat().st_size:
        return False
    with open(file, "rb") as stream:
        return crc32c_of_file(stream, there.size) == there.crc32c
