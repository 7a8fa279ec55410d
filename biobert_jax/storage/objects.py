"""Single objects: looked at, listed, read, written and deleted."""

import asyncio
import contextlib
import datetime
import json
import os
import re
import secrets
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import google_crc32c

from biobert_jax.storage.connection import SCHEME, missing, run, split
from biobert_jax.storage.faults import ConflictError, MissingError, StorageError

if TYPE_CHECKING:
    from biobert_jax.storage.gcsfs_patient import PatientFileSystem

REQUESTS_AT_A_TIME = 32
# A conditional write is told by it from another's, where the answer to it was lost.
_WRITE_ID = "biobert-write-id"


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
        found = await stat_async(connection, os.fspath(path))
        _, content = await connection._call(
            "GET", media_address(connection), *split(path), alt="media", generation=found.generation
        )
        check_crc32c(found, crc32c_of(content))
        return content, found

    return run(path, "read", read)


def write_bytes(
    path: str | os.PathLike,
    content: bytes,
    *,
    new: bool = False,
    generation: int | None = None,
) -> StoredObject:
    """Writes an object whole; readers see the old one or the new one.

    Args:
      new: only where there is none yet: of several writers one succeeds.
      generation: only in the place of the object that has it.

    Returns:
      What has been written, with its own generation.

    Raises:
      ConflictError: there is one that was to be new, or another than that of the generation.
      StorageError: as `stat`'s.
    """
    condition = 0 if new else generation

    async def write(connection: "PatientFileSystem") -> StoredObject:
        return await write_async(connection, os.fspath(path), content, condition)

    return run(path, "write", write)


def try_to_write(path: str | os.PathLike) -> None:
    """Finds out whether an object could be written there; leaves nothing behind.

    Raises:
      StorageError: no such bucket, no right to write, no credentials, no answer.
    """
    trial = f"{os.fspath(path).rstrip('/')}.{secrets.token_hex(4)}.try"
    try:
        write_bytes(trial, b"")
        delete(trial)
    except StorageError as error:
        raise type(error)(str(error).replace(trial, os.fspath(path))) from error


def delete(path: str | os.PathLike, *, generation: int | None = None) -> None:
    """Deletes an object; none being there is no error.

    Args:
      generation: only the object that has it.

    Raises:
      ConflictError: there is another than that of the generation.
      StorageError: no right to delete it, no credentials, no answer.
    """

    async def remove(connection: "PatientFileSystem") -> None:
        try:
            await connection._call(
                "DELETE", "b/{}/o/{}", *split(path), ifGenerationMatch=generation
            )
        except FileNotFoundError:
            return
        except FileExistsError as error:
            # Where nothing is there any more, it was this very request, whose answer was lost.
            with contextlib.suppress(FileNotFoundError):
                await stat_async(connection, os.fspath(path))
                raise _conflict(os.fspath(path)) from error

    run(path, "write", remove)


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


async def write_async(
    connection: "PatientFileSystem", path: str, content: bytes, condition: int | None = None
) -> StoredObject:
    """`write_bytes` within the connection's thread.

    Args:
      condition: the generation that is to be replaced, 0 for none.
    """
    bucket, name = split(path)
    about, body = described(name, crc32c_of(content), condition), content
    boundary = secrets.token_hex(16)
    # gcsfs's own has no carriage return before its boundary, and loses one that ends the content.
    head = (
        f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
        f"{json.dumps(about)}\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
    )
    body = sendable(head.encode() + content + f"\r\n--{boundary}--\r\n".encode())
    try:
        written = await connection._call(
            "POST",
            upload_address(connection),
            bucket,
            uploadType="multipart",
            headers={"Content-Type": f'multipart/related; boundary="{boundary}"'},
            data=body,
            json_out=True,
            ifGenerationMatch=condition,
        )
    except FileExistsError as error:
        return await own_or_conflict(connection, path, about, error)
    result = object_of(bucket, written)
    check_crc32c(result, about["crc32c"])
    return result


def described(name: str, crc32c: str, condition: int | None) -> dict[str, Any]:
    """What is sent with an object; the bucket refuses content of another CRC32C."""
    about: dict[str, Any] = {"name": name, "crc32c": crc32c}
    if condition is not None:
        about["metadata"] = {_WRITE_ID: secrets.token_hex(16)}
    return about


async def own_or_conflict(
    connection: "PatientFileSystem", path: str, about: dict[str, Any], error: Exception
) -> StoredObject:
    """The object that stands in a conditional write's way, if it is what that wrote itself.

    A request whose answer was lost is made again, and then meets its own result.

    Raises:
      ConflictError: it is another's.
    """
    bucket, name = split(path)
    try:
        found = await connection._call("GET", "b/{}/o/{}", bucket, name, json_out=True)
    except FileNotFoundError:
        raise _conflict(path) from error
    if found.get("metadata", {}).get(_WRITE_ID) != about["metadata"][_WRITE_ID]:
        raise _conflict(path) from error
    return object_of(bucket, found)


def check_crc32c(said: StoredObject, crc32c: str) -> None:
    """Raises a StorageError where the bucket's CRC32C is not that of the bytes at hand."""
    if said.crc32c != crc32c:
        raise StorageError(
            f"{said.path}: its bytes do not fit its checksum (CRC32C {crc32c}, and {said.crc32c} "
            "by the bucket): damaged on the way, or stored with a Content-Encoding; upload it anew"
        )


def upload_address(connection: "PatientFileSystem") -> str:
    """Where objects are sent; braces stand for the bucket."""
    return f"{connection._location}/upload/storage/v1/b/{{}}/o"


def sendable(content: bytes) -> Any:
    """Bytes as aiohttp sends them without a copy, as often as need be."""
    from gcsfs.core import UnclosableBytesIO

    return UnclosableBytesIO(content)


def media_address(connection: "PatientFileSystem") -> str:
    """Where objects' content is read; braces stand for bucket and name."""
    return f"{connection._location}/download/storage/v1/b/{{}}/o/{{}}"


def _conflict(path: str) -> ConflictError:
    return ConflictError(f"{path}: another process has written it meanwhile")


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
