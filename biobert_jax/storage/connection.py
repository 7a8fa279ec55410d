"""What a path to a bucket is, and the connection that all requests go through."""

import asyncio
import functools
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from biobert_jax.environment import set_up_storage
from biobert_jax.errors import UserError
from biobert_jax.storage.faults import MissingError, explained

if TYPE_CHECKING:
    from etils import epath

    from biobert_jax.storage.gcsfs_patient import PatientFileSystem

T = TypeVar("T")

SCHEME = "gs://"
# How long a transfer that was interrupted has to put its temporary files away.
_SECONDS_TO_CANCEL = 5.0


def is_remote(path: str | os.PathLike) -> bool:
    """Whether a path leads into a bucket."""
    return os.fspath(path).startswith(SCHEME)


def check_scheme(path: str | os.PathLike, what: str = "") -> None:
    """Refuses addresses of other kinds, such as s3:// and https://.

    Args:
      what: the option or key that has the path, for the message.

    Raises:
      UserError: the path is one.
    """
    text = os.fspath(path)
    if "://" in text and not text.startswith(SCHEME):
        name = f"{what} {text}" if what else text
        raise UserError(f"{name}: only local paths and gs:// can be used: copy the files to one")


def split(path: str | os.PathLike) -> tuple[str, str]:
    """Bucket and name of `gs://BUCKET/NAME`; the name is "" where there is none.

    Raises:
      UserError: there is no bucket in it.
    """
    bucket, _, name = os.fspath(path).removeprefix(SCHEME).partition("/")
    if not bucket or not is_remote(path):
        raise UserError(f"{os.fspath(path)}: not a path in a bucket: write gs://BUCKET/NAME")
    return bucket, name


def path(path: str | os.PathLike) -> "Path | epath.Path":
    """A pathlib.Path of a local path, an etils.epath.Path of one in a bucket.

    Raises:
      UserError: gcsfs is not installed, where it is needed.
    """
    return etils_path(path) if is_remote(path) else Path(path)


def etils_path(path: str | os.PathLike) -> "epath.Path":
    """An etils.epath.Path, of a local path too: both kinds have the same methods.

    Raises:
      UserError: gcsfs is not installed, where it is needed.
    """
    from etils import epath
    from etils.epath import gpath

    if is_remote(path):
        connect()
        # Whether to take TensorFlow's client is asked once, maybe before `set_up_storage` answered.
        if forget := getattr(getattr(gpath, "_is_tf_installed", None), "cache_clear", None):
            forget()
    return epath.Path(path)


def connect() -> "PatientFileSystem":
    """The connection of this process, which fsspec and etils have too.

    Raises:
      UserError: gcsfs is not installed.
    """
    set_up_storage()
    return _connection(os.getpid(), os.environ.get("STORAGE_EMULATOR_HOST", ""))


@functools.lru_cache(maxsize=1)
def _connection(*_: object) -> "PatientFileSystem":
    try:
        import fsspec
        from etils.epath import gpath

        from biobert_jax.storage.gcsfs_patient import PatientFileSystem
    except ImportError as error:
        raise UserError(
            f"paths in buckets need gcsfs ({error}): pip install 'biobert-jax[gcs]'"
        ) from error
    # Who used etils before EPATH_USE_TF was set has its choice remembered.
    gpath._is_tf_installed.cache_clear()  # noqa: SLF001
    for protocol in PatientFileSystem.protocol:
        fsspec.register_implementation(protocol, PatientFileSystem, clobber=True)
    # As etils calls it, so that both have one connection.
    return fsspec.filesystem("gcs", finalize_on_close=True)


def run(
    path: str | os.PathLike, doing: str, work: Callable[["PatientFileSystem"], Awaitable[T]]
) -> T:
    """As `start`, and waits for the result.

    Whatever interrupts the waiting cancels the work, so that nothing goes on behind a caller that
    has given up.

    Raises:
      StorageError, or what `work` raises of local files.
    """
    ended = threading.Event()
    future = start(path, doing, work, ended.set)
    try:
        return future.result()
    except BaseException:
        if future.cancel() or not future.done():
            ended.wait(_SECONDS_TO_CANCEL)
        raise


def start(
    path: str | os.PathLike,
    doing: str,
    work: Callable[["PatientFileSystem"], Awaitable[T]],
    ended: Callable[[], None] = lambda: None,
) -> "Future[T]":
    """Starts what talks to the bucket, in the thread that fsspec has for it.

    Args:
      path: what is asked for, which errors name.
      doing: "read" or "write".
      ended: called when the work has ended, also after it was cancelled.

    Returns:
      The result to come, which can be cancelled; its errors are those of `run`.
    """
    connection = connect()

    async def explaining() -> T:
        from biobert_jax.storage.gcsfs_patient import patience_seconds

        try:
            return await work(connection)
        except FileNotFoundError as error:
            if error.errno is not None or isinstance(error, MissingError):
                raise
            raise await missing(connection, os.fspath(path)) from error
        except Exception as error:
            raise explained(error, os.fspath(path), doing, patience_seconds()) from error
        finally:
            ended()

    return asyncio.run_coroutine_threadsafe(explaining(), connection.loop)


async def missing(connection: "PatientFileSystem", path: str) -> MissingError:
    """The error of a path where nothing is; the answer to want of a bucket or an object is 404."""
    bucket, name = split(path)
    try:
        await connection._call("GET", "b/{}/o", bucket, maxResults=1)
    except FileNotFoundError:
        return MissingError(f"{path}: there is no bucket gs://{bucket}")
    except Exception:
        pass  # no right to list it, so the bucket is there
    return MissingError(f"{path}: there is no such object" if name else f"{path}: a whole bucket")
