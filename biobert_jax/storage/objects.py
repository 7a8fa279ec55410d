"""Single objects: looked at, listed and read."""

import asyncio
import datetime
import os
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import google_crc32c

from biobert_jax.storage.connection import SCHEME, missing, run, split
from biobert_jax.storage.faults import DamagedError, MissingError, StorageError

if TYPE_CHECKING:
    from biobert_jax.storage.gcsfs_patient import PatientFileSystem

REQUESTS_AT_A_TIME = 32


# How often an object that others write is looked at anew.
_READS = 10


@dataclass(frozen=True)
class StoredObject:
    """What a bucket says of an object.

    Attributes:
      path: `gs://BUCKET/NAME`.
      size: in bytes.
      generation: a number that is another whenever the object is written.
      crc32c: of its bytes, in base64, big-endian, as Google writes it.
      md5: the same; "" where there is none (objects composed of parts).
      updated: when it was written, by the bucket's clock.
    """

    path: str
    size: int
    generation: int
    crc32c: str
    md5: str
    updated: datetime.datetime

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


def crc32c_of(content: bytes) -> str:
    """The CRC32C of bytes as buckets write it."""
    return encoded_crc32c(google_crc32c.Checksum(content))


def encoded_crc32c(sums: google_crc32c.Checksum) -> str:
    """A CRC32C as buckets write it."""
    return b64encode(sums.digest()).decode()


def stat(path: str | os.PathLike) -> StoredObject:
    """What the bucket says of an object.

    Raises:
      MissingError: there is none, or no such bucket.
      StorageError: no right to read it, no credentials, no answer.
    """
    return run(path, "read", lambda connection: stat_async(connection, os.fspath(path)))


def stat_all(paths: Sequence[str]) -> list[StoredObject]:
    """`stat` of each of many paths, several at a time."""
    if not paths:
        return []

    async def look(connection: "PatientFileSystem") -> list[StoredObject]:
        places = asyncio.Semaphore(REQUESTS_AT_A_TIME)

        async def one(path: str) -> StoredObject:
            async with places:
                try:
                    return await stat_async(connection, path)
                except FileNotFoundError as error:
                    raise await missing(connection, path) from error

        return list(await asyncio.gather(*map(one, paths)))

    return run(paths[0], "read", look)


def exists(path: str | os.PathLike) -> bool:
    """Whether there is an object of this very name (a folder is none); False without a bucket."""
    try:
        stat(path)
    except MissingError:
        return False
    return True


def read_bytes(path: str | os.PathLike) -> bytes:
    """An object's content, compared with its CRC32C; errors as `stat`'s."""
    return read_object(path)[0]


def read_object(path: str | os.PathLike) -> tuple[bytes, StoredObject]:
    """An object's content and what the bucket says of that very content; errors as `stat`'s."""

    async def read(connection: "PatientFileSystem") -> tuple[bytes, StoredObject]:
        for _ in range(_READS):
            found = await stat_async(connection, os.fspath(path))
            try:
                _, content = await connection._call(
                    "GET",
                    media_address(connection),
                    *split(path),
                    alt="media",
                    generation=found.generation,
                )
            except FileNotFoundError:  # written anew meanwhile: what is there now is read
                continue
            check_crc32c(found, crc32c_of(content))
            return content, found
        raise StorageError(f"{os.fspath(path)}: written anew each time it was read: try again")

    return run(path, "read", read)


def list_folder(path: str | os.PathLike, *, recursive: bool = True) -> list[StoredObject]:
    """The objects whose names begin with a folder's, by name; none is no error.

    Args:
      recursive: those in folders within it too.

    Raises:
      MissingError: there is no such bucket.
      StorageError: no right to list it, no credentials, no answer.
    """
    bucket, name = split(path)
    prefix = name.rstrip("/") + "/" if name else ""

    async def collect(connection: "PatientFileSystem") -> list[StoredObject]:
        return await list_async(connection, bucket, prefix, recursive=recursive)

    return run(path, "read", collect)


def glob(pattern: str | os.PathLike) -> list[StoredObject]:
    """The objects that a pattern fits, by name: `*`, `?` and `[…]` within a name, `**` beyond.

    Raises as `list_folder`.
    """
    from fsspec.utils import glob_translate

    bucket, name = split(pattern)
    known = re.split(r"[*?\[]", name, maxsplit=1)[0]
    fits = re.compile(glob_translate(name)).match
    recursive = "/" in name[len(known) :]

    async def collect(connection: "PatientFileSystem") -> list[StoredObject]:
        found = await list_async(connection, bucket, known, recursive=recursive)
        return [one for one in found if fits(split(one.path)[1])]

    return run(pattern, "read", collect)


async def stat_async(connection: "PatientFileSystem", path: str) -> StoredObject:
    """`stat` within the connection's thread."""
    bucket, name = split(path)
    if not name:
        raise MissingError(f"{path}: a whole bucket: name an object or a folder in it")
    found = await connection._call("GET", "b/{}/o/{}", bucket, name, json_out=True)
    return object_of(bucket, found)


async def list_async(
    connection: "PatientFileSystem", bucket: str, prefix: str, *, recursive: bool
) -> list[StoredObject]:
    """The objects whose names begin with `prefix`, without the markers that stand for folders."""
    found, token = [], None
    while True:
        page = await connection._call(
            "GET",
            "b/{}/o",
            bucket,
            json_out=True,
            prefix=prefix,
            delimiter=None if recursive else "/",
            pageToken=token,
        )
        found += [object_of(bucket, one) for one in page.get("items", [])]
        token = page.get("nextPageToken")
        if not token:
            return [one for one in found if not one.path.endswith("/")]


def check_crc32c(said: StoredObject, crc32c: str) -> None:
    """Raises a DamagedError where the bucket's CRC32C is not that of the bytes at hand."""
    if said.crc32c != crc32c:
        raise DamagedError(
            f"{said.path}: its bytes do not fit its checksum (CRC32C {crc32c}, and {said.crc32c} "
            "by the bucket): damaged on the way, or stored with a Content-Encoding; upload it anew"
        )


def media_address(connection: "PatientFileSystem") -> str:
    """Where objects' content is read; braces stand for bucket and name."""
    return f"{connection._location}/download/storage/v1/b/{{}}/o/{{}}"


def object_of(bucket: str, said: dict[str, Any]) -> StoredObject:
    """What a bucket's answer says of an object."""
    return StoredObject(
        path=f"{SCHEME}{bucket}/{said['name']}",
        size=int(said.get("size", 0)),
        generation=int(said["generation"]),
        crc32c=said.get("crc32c", ""),
        md5=said.get("md5Hash", ""),
        updated=datetime.datetime.fromisoformat(said["updated"]),
    )
