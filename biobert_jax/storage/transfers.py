"""Whole objects between a bucket and this machine's disk, which go on where they were cut off."""

import asyncio
import contextlib
import hashlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import IO, TYPE_CHECKING

import google_crc32c

from biobert_jax.storage.connection import run, split, start
from biobert_jax.storage.faults import MissingError, StorageError, is_passing
from biobert_jax.storage.objects import (
    StoredObject,
    check_crc32c,
    encoded_crc32c,
    media_address,
    object_of,
    stat_async,
)
from biobert_jax.storage.writing import (
    described,
    own_or_conflict,
    sendable,
    upload_address,
    write_async,
)

if TYPE_CHECKING:
    from biobert_jax.storage.gcsfs_patient import PatientFileSystem

# Smaller files are sent in one request; larger ones in parts, each a multiple of 256 KiB.
PART_BYTES = 8 << 20
_BLOCK_BYTES = 1 << 20


def download(
    path: str | os.PathLike, local: str | os.PathLike, *, sha256: str = ""
) -> StoredObject:
    """Copies an object to a local file, which appears when it is whole.

    What is cut off goes on from there. The bytes are compared with the object's CRC32C.

    Args:
      local: the file; its folder is made.
      sha256: what the bytes must hash to, in hexadecimal; not looked at where it is "".

    Raises:
      StorageError: as `objects.stat`'s; other bytes than the checksums say; no space on the disk.
      OSError: the local file cannot be written.
    """

    return run(path, "read", _downloading(path, local, sha256))


def start_download(
    path: str | os.PathLike,
    local: str | os.PathLike,
    *,
    sha256: str = "",
    places: asyncio.Semaphore | None = None,
) -> "Future[StoredObject]":
    """Starts a `download`, which can be cancelled, and has its errors.

    Args:
      places: how many that share it are under way at a time.
    """
    work = _downloading(path, local, sha256)

    async def in_turn(connection: "PatientFileSystem") -> StoredObject:
        async with places or contextlib.nullcontext():
            return await work(connection)

    return start(path, "read", in_turn)


def _downloading(
    path: str | os.PathLike, local: str | os.PathLike, sha256: str
) -> Callable[["PatientFileSystem"], Awaitable[StoredObject]]:
    async def fetch(connection: "PatientFileSystem") -> StoredObject:
        found = await stat_async(connection, os.fspath(path))
        await download_async(connection, found, Path(local), sha256)
        return found

    return fetch


def upload(
    local: str | os.PathLike,
    path: str | os.PathLike,
    *,
    new: bool = False,
    generation: int | None = None,
) -> StoredObject:
    """Copies a local file to an object, which appears when it is whole.

    Args:
      new, generation: as in `writing.write_bytes`.

    Raises:
      ConflictError, StorageError: as `writing.write_bytes`.
      OSError: the local file cannot be read.
    """
    condition = 0 if new else generation

    async def send(connection: "PatientFileSystem") -> StoredObject:
        return await upload_async(connection, Path(local), os.fspath(path), condition)

    return run(path, "write", send)


async def download_async(
    connection: "PatientFileSystem", found: StoredObject, local: Path, sha256: str = ""
) -> None:
    """`download` within the connection's thread."""
    local.parent.mkdir(parents=True, exist_ok=True)
    temporary = local.with_name(f".{local.name}.part")
    crc32c, sums = google_crc32c.Checksum(), hashlib.sha256()
    try:
        with open(temporary, "wb") as stream:
            async for block in _blocks(connection, found):
                stream.write(block)
                crc32c.update(block)
                if sha256:
                    sums.update(block)
        check_crc32c(found, encoded_crc32c(crc32c))
        if sha256 and sums.hexdigest() != sha256:
            raise StorageError(
                f"{found.path}: damaged: its SHA-256 is {sums.hexdigest()[:12]}…, not "
                f"{sha256[:12]}…: upload it anew"
            )
        os.replace(temporary, local)
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(local)  # a write that failed names no file
        raise
    finally:
        temporary.unlink(missing_ok=True)


async def _blocks(connection: "PatientFileSystem", found: StoredObject) -> AsyncIterator[bytes]:
    """An object's bytes in order; where the stream is cut off, a new request goes on from there."""
    from biobert_jax.storage.gcsfs_patient import Patience

    offset, patience = 0, Patience(found.path)
    while offset < found.size:
        try:
            async for block in connection.stream(
                media_address(connection), *split(found.path), offset=offset,
                generation=found.generation,
            ):  # fmt: skip
                offset += len(block)
                patience.progress()
                yield block
        except FileNotFoundError as error:
            raise MissingError(f"{found.path}: it was deleted or written anew meanwhile") from error
        except Exception as error:
            await patience.wait(error)


async def upload_async(
    connection: "PatientFileSystem", local: Path, path: str, condition: int | None = None
) -> StoredObject:
    """`upload` within the connection's thread."""
    with open(local, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size <= PART_BYTES:
            return await write_async(connection, path, stream.read(size), condition)
        return await _upload_in_parts(connection, stream, size, path, condition)


async def _upload_in_parts(
    connection: "PatientFileSystem", stream: IO[bytes], size: int, path: str, condition: int | None
) -> StoredObject:
    """Google's resumable upload: after an error the bucket is asked how much of it has come."""
    from biobert_jax.storage.gcsfs_patient import Patience

    bucket, name = split(path)
    about = described(name, crc32c_of_file(stream, size), condition)
    try:
        headers, _ = await connection._call(
            "POST",
            upload_address(connection),
            bucket,
            uploadType="resumable",
            name=name,
            json=about,
            headers={"X-Upload-Content-Length": str(size)},
            ifGenerationMatch=condition,
        )
        session, offset, patience = headers["Location"], 0, Patience(path)
        while True:
            try:
                stream.seek(offset)
                part = stream.read(min(PART_BYTES, size - offset))
                status, headers, _, content = await connection.request_once(
                    "PUT",
                    session,
                    data=sendable(part),
                    headers={"Content-Range": f"bytes {offset}-{offset + len(part) - 1}/{size}"},
                )
            except Exception as error:
                if is_passing(error):
                    await patience.wait(error)
                    status, headers, _, content = await connection._request(
                        "PUT", session, headers={"Content-Range": f"bytes */{size}"}
                    )
                else:
                    raise
            if status in (200, 201):
                result = object_of(bucket, json.loads(content))
                check_crc32c(result, about["crc32c"])
                return result
            received = int(headers["Range"].rpartition("-")[2]) + 1 if "Range" in headers else 0
            if received > offset:
                patience.progress()
            offset = received
    except FileExistsError as error:
        return await own_or_conflict(connection, path, about, error)


def crc32c_of_file(stream: IO[bytes], size: int) -> str:
    """The CRC32C of an open file's first bytes, as buckets write it: it may be growing."""
    stream.seek(0)
    sums = google_crc32c.Checksum()
    while block := stream.read(min(_BLOCK_BYTES, size)):
        sums.update(block)
        size -= len(block)
    return encoded_crc32c(sums)
