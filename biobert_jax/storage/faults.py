"""What goes wrong with a bucket, each in one line."""

import asyncio
import errno

from biobert_jax.errors import UserError

_PASSING = (408, 429, 500, 502, 503, 504)


class StorageError(UserError):
    """A bucket or an object in it could not be read or written."""


class MissingError(StorageError, FileNotFoundError):
    """There is no such object, or no such bucket."""


class DamagedError(StorageError):
    """An object's bytes are not those of its checksum."""


class ConflictError(StorageError, FileExistsError):
    """An object is there that was to be new, or another than the one that was to be replaced."""


def is_passing(error: BaseException) -> bool:
    """Whether a request that failed with it may succeed when it is made again.

    Errors 408, 429, 500 and 502 to 504, no answer, a connection refused, reset or cut off, and
    content that does not fit its checksum.
    """
    import aiohttp
    import google.auth.exceptions
    import requests.exceptions
    from gcsfs.retry import ChecksumError, HttpError

    if isinstance(error, HttpError):
        return error.code in _PASSING
    if isinstance(error, aiohttp.InvalidURL | google.auth.exceptions.RefreshError):
        return False
    return isinstance(
        error,
        asyncio.TimeoutError
        | ConnectionError
        | ChecksumError
        | aiohttp.ClientError
        | requests.exceptions.RequestException
        | google.auth.exceptions.TransportError,
    )


def explained(error: Exception, path: str, doing: str, patience: float) -> Exception:
    """The error to raise in place of one of gcsfs's, aiohttp's or the system's.

    Args:
      path: the object or folder that was asked for.
      doing: "read" or "write".
      patience: for how many seconds passing errors were borne.

    Returns:
      The error itself where nothing better can be said of it.
    """
    if isinstance(error, UserError):
        return error
    bucket = path.removeprefix("gs://").partition("/")[0]
    code = getattr(error, "code", None)
    text = " ".join(str(error).split())
    if is_passing(error):
        return StorageError(
            f"{path}: the storage gave no good answer for {patience:.0f} s "
            f"({text[:150] or type(error).__name__}): see that it can be reached, and try again"
        )
    if code == 401 or type(error).__module__.startswith("google.auth"):
        return StorageError(
            f"{path}: no credentials that gs://{bucket} takes: run `gcloud auth "
            "application-default login`, or give the machine a service account "
            f"(GOOGLE_APPLICATION_CREDENTIALS names a key file) ({text[:150]})"
        )
    if code == 403 or text.startswith("Forbidden"):
        role = "roles/storage.objectViewer" if doing == "read" else "roles/storage.objectUser"
        reason = text.partition(" ")[2].partition(" ")[2][:150]
        return StorageError(
            f"{path}: no right to {doing} there: give the account {role} on gs://{bucket}"
            + (f" ({reason})" if reason else "")
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageError(
            f"no space left on this machine's disk for {path} (at {error.filename or 'a copy'}): "
            "make room there"
        )
    if code is not None or isinstance(error, ValueError) or getattr(error, "errno", 0) is None:
        return StorageError(f"{path}: cannot {doing} it ({text[:200] or type(error).__name__})")
    return error
