"""Single objects: written and deleted, also on condition that nobody else has."""

import contextlib
import json
import os
import secrets
from typing import TYPE_CHECKING, Any

from biobert_jax.storage.connection import run, split
from biobert_jax.storage.faults import ConflictError, StorageError
from biobert_jax.storage.objects import (
    StoredObject,
    check_crc32c,
    crc32c_of,
    object_of,
    stat_async,
)

if TYPE_CHECKING:
    from biobert_jax.storage.gcsfs_patient import PatientFileSystem

# A conditional write is told by it from another's, where the answer to it was lost.
_WRITE_ID = "biobert-write-id"


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
    # A boundary that content cannot hold: gcsfs's is always the same, and begins with a line feed
    # alone, so that a carriage return at the content's end would be taken for a part of it.
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


def upload_address(connection: "PatientFileSystem") -> str:
    """Where objects are sent; braces stand for the bucket."""
    return f"{connection._location}/upload/storage/v1/b/{{}}/o"


def sendable(content: bytes) -> Any:
    """Bytes as aiohttp sends them without a copy, as often as need be."""
    from gcsfs.core import UnclosableBytesIO

    return UnclosableBytesIO(content)


def _conflict(path: str) -> ConflictError:
    return ConflictError(f"{path}: another process has written it meanwhile")
