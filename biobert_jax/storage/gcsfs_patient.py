"""gcsfs with patience: its own gives up after six tries, which is half a minute."""

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
from gcsfs.core import GCSFileSystem
from gcsfs.retry import HttpError, validate_response

from biobert_jax.errors import UserError
from biobert_jax.storage.faults import is_passing

T = TypeVar("T")

# For how long a request is made again before its error is raised, and the waits between.
PATIENCE_VARIABLE = "BIOBERT_STORAGE_PATIENCE"
PATIENCE_SECONDS = 600.0
FIRST_WAIT_SECONDS = 0.25
MAX_WAIT_SECONDS = 32.0
# A server that says nothing for so long is asked anew.
SILENCE_SECONDS = 30.0
_REQUEST_TIMEOUT = aiohttp.ClientTimeout(
    total=600.0, sock_connect=SILENCE_SECONDS, sock_read=SILENCE_SECONDS
)
# Tokens that have run out are renewed; credentials that were withdrawn are not waited for.
_TRIES_WITH_BAD_CREDENTIALS = 4
# A user who waits is told why from this try on.
_TRIES_IN_SILENCE = 6

_log = logging.getLogger("biobert_jax.storage")


def patience_seconds() -> float:
    """For how long passing errors are borne: 600 s, or what BIOBERT_STORAGE_PATIENCE says.

    Raises:
      UserError: it says no number.
    """
    said = os.environ.get(PATIENCE_VARIABLE) or PATIENCE_SECONDS
    try:
        return float(said)
    except ValueError:
        raise UserError(f"{PATIENCE_VARIABLE}={said}: give a number of seconds") from None


class Patience:
    """The waits of one piece of work: they grow from one to the next, up to 32 s.

    The time that is borne begins anew at every `progress`.
    """

    def __init__(self, what: str):
        self._what = what
        self.progress()

    def progress(self) -> None:
        """Something has come through."""
        self._tries = 0
        self._deadline = time.monotonic() + patience_seconds()

    async def wait(self, error: BaseException) -> None:
        """Waits before another try; raises `error` where there is to be none."""
        self._tries += 1
        unauthorised = isinstance(error, HttpError) and error.code == 401
        renewable = unauthorised and "Invalid Credentials" in str(error.message)
        if not is_passing(error):
            if not renewable or self._tries >= _TRIES_WITH_BAD_CREDENTIALS:
                raise error
        wait = min(MAX_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (self._tries - 1))
        wait *= random.uniform(0.5, 1.0)
        if time.monotonic() + wait > self._deadline:
            raise error
        if self._tries >= _TRIES_IN_SILENCE:
            reason = " ".join(str(error).split())[:150] or type(error).__name__
            _log.warning("%s: %s: trying again in %.1f s", self._what, reason, wait)
        await asyncio.sleep(wait)


class PatientFileSystem(GCSFileSystem):
    """gcsfs's file system with our patience, checksums of what is written, and no old listings.

    fsspec gives it to whoever asks for "gs" or "gcs", so that etils' paths, and with them Orbax's,
    are as patient as ours.
    """

    protocol = ("gs", "gcs")

    def __init__(self, *args: Any, **options: Any):
        options.setdefault("consistency", "md5")
        options["use_listings_cache"] = False
        options["requests_timeout"] = _REQUEST_TIMEOUT
        if os.environ.get("STORAGE_EMULATOR_HOST"):
            options.setdefault("token", "anon")
        super().__init__(*args, **options)

    async def _patiently(self, what: str, request: Callable[[], Awaitable[T]]) -> T:
        patience = Patience(what)
        while True:
            try:
                return await request()
            except Exception as error:
                await patience.wait(error)

    # Both are gcsfs's own functions without the decorator that counts its tries.

    async def _request(self, method: str, path: str, *args: Any, **options: Any) -> Any:
        return await self._patiently(
            "gs://" + "/".join(map(str, args)) if args else path.partition("?")[0],
            lambda: self.request_once(method, path, *args, **options),
        )

    async def request_once(self, *args: Any, **options: Any) -> Any:
        """One request without patience: status, headers, and the content last of four."""
        return await GCSFileSystem._request.__wrapped__(self, *args, **options)

    async def stream(
        self, path: str, *args: str, offset: int, generation: int
    ) -> AsyncIterator[bytes]:
        """One request without patience for an object's content from `offset` on."""
        session = await self._set_session()
        timeout = self.requests_timeout
        headers = self._get_headers({"Range": f"bytes={offset}-"} if offset else {})
        async with session.get(
            self._format_path(path, args),
            params=self._get_params({"alt": "media", "generation": str(generation)}),
            headers=headers,
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=timeout.sock_connect, sock_read=timeout.sock_read
            ),
        ) as response:
            if response.status >= 400:
                validate_response(response.status, await response.read(), path, args)
            if offset and response.status != 206:
                raise aiohttp.ClientPayloadError("the server does not send parts of objects")
            async for block in response.content.iter_chunked(1 << 20):
                yield block

    async def _get_file_request(self, rpath: str, lpath: str, *args: Any, **options: Any) -> Any:
        once = GCSFileSystem._get_file_request.__wrapped__
        return await self._patiently(rpath, lambda: once(self, rpath, lpath, *args, **options))
