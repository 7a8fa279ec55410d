"""A bucket on this machine: gcp-storage-emulator behind what it lacks and what goes wrong.

It serves from several threads, keeps to `ifGenerationMatch` and `generation`, lists in pages, and
fails as it is told to: a share of requests, all of some kind, or with silence. Beside the tests it
is a program:

    python tests/bucket_server.py --port 9000 --fail 0.2 --seed 0
    export STORAGE_EMULATOR_HOST=http://127.0.0.1:9000
"""

import argparse
import contextlib
import http.server
import io
import json
import logging
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import parse_qs, unquote, urlparse

from gcp_storage_emulator.handlers.buckets import create_bucket
from gcp_storage_emulator.handlers.objects import _copy as copied
from gcp_storage_emulator.server import RequestHandler, Router
from gcp_storage_emulator.storage import Storage

# What a request may meet: an HTTP status; "reset", before it is looked at; "lost", after it was
# done, so that its answer never comes; "cut", after half of the answer.
FAULTS = (429, 503, 500, "reset", "lost", "cut")


@dataclass
class Request:
    """A request as it came: tests look for what should and should not be in it."""

    method: str
    path: str
    body: bytes


@dataclass
class Trouble:
    """What goes wrong now.

    Attributes:
      share: of requests, drawn with `seed`, that meet one of `faults`.
      silent_until: until when (time.monotonic) requests are accepted and not answered.
      refused: (part of a method and path, HTTP status): those are answered so.
    """

    share: float = 0.0
    faults: tuple = FAULTS
    draw: random.Random = field(default_factory=lambda: random.Random(0))
    silent_until: float = 0.0
    refused: tuple[tuple[str, int], ...] = ()


class BucketServer(http.server.ThreadingHTTPServer):
    """Serves buckets from memory on a loopback port."""

    daemon_threads = True

    def __init__(self, bucket: str = "bucket", port: int = 0, page: int = 1000):
        super().__init__(("127.0.0.1", port), partial(_Handler, None))
        logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
        logging.getLogger("api.object").setLevel(logging.CRITICAL)
        self.storage = Storage(use_memory_fs=True)
        self.one_at_a_time = threading.RLock()
        self.page = page
        self.trouble = Trouble()
        self.requests: list[Request] = []
        self.finished: dict[str, bytes] = {}
        self.keep_requests = True
        self.bucket = self.make_bucket(bucket)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> "BucketServer":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()

    def make_bucket(self, name: str) -> str:
        """`gs://NAME` of an empty bucket; what is deleted from it is gone."""
        create_bucket(name, self.storage)
        self.storage.buckets[name]["softDeletePolicy"] = {"retentionDurationSeconds": "0"}
        return f"gs://{name}"

    def names(self, prefix: str = "", bucket: str = "bucket") -> list[str]:
        """The names of all objects, by no request."""
        with self.one_at_a_time:
            return sorted(n for n in self.storage.objects.get(bucket, {}) if n.startswith(prefix))

    def content(self, name: str, bucket: str = "bucket") -> bytes:
        """An object's bytes, by no request."""
        with self.one_at_a_time:
            return self.storage.get_file(bucket, name)

    def put(self, name: str, content: bytes, bucket: str = "bucket") -> None:
        """Changes an object's bytes and leaves its checksums: damages it."""
        with self.one_at_a_time:
            self.storage._store.write_bytes(self.storage._object_path(bucket, name), content)

    @contextlib.contextmanager
    def failing(self, share: float = 0.2, seed: int = 0, faults: tuple = FAULTS) -> Iterator[None]:
        """Within the block a share of requests meets one of the faults."""
        self.trouble = Trouble(share, faults, random.Random(seed))
        try:
            yield
        finally:
            self.trouble = Trouble()

    @contextlib.contextmanager
    def refusing(self, *rules: tuple[str, int]) -> Iterator[None]:
        """Within the block requests are answered with a status: ("POST /upload", 403)."""
        self.trouble = Trouble(refused=rules)
        try:
            yield
        finally:
            self.trouble = Trouble()

    def be_silent(self, seconds: float) -> None:
        """Requests are accepted and not answered, from now on for some seconds."""
        self.trouble.silent_until = time.monotonic() + seconds

    def generation(self, bucket: str, name: str) -> int:
        """0 where there is no such object."""
        found = self.storage.objects.get(bucket, {}).get(name)
        return int(found["generation"]) if found else 0

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are no news."""


class _Handler(RequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer and its head are two writes, which Nagle's algorithm would hold back.
    disable_nagle_algorithm = True
    server: BucketServer
    generation_read = 0

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self._body()
        self.generation_read = 0
        self.storage = self.server.storage
        if self.server.keep_requests:
            self.server.requests.append(Request(self.command, unquote(self.path), body))
        fault = self._fault()
        if fault == "reset":
            self._hang_up()
            return
        client, self.wfile = self.wfile, io.BytesIO()
        self.rfile, connection = io.BytesIO(body), self.rfile
        try:
            if isinstance(fault, int):
                self._answer(fault, {"error": {"code": fault, "message": f"told to say {fault}"}})
            else:
                with self.server.one_at_a_time:
                    try:
                        self._serve()
                    except Exception as error:  # beyond the emulator: no reason to ask again
                        self.wfile = io.BytesIO()
                        self._answer(400, {"error": {"code": 400, "message": repr(error)}})
            answer = self.wfile.getvalue()
        finally:
            self.wfile, self.rfile = client, connection
        if fault in ("lost", "cut"):
            client.write(answer[: len(answer) // 2] if fault == "cut" else b"")
            self._hang_up()
            return
        client.write(answer)
        client.flush()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        del self.headers["Transfer-Encoding"]
        self.headers["Content-Length"] = str(len(body))
        return body

    def _fault(self) -> object:
        trouble = self.server.trouble
        while time.monotonic() < trouble.silent_until:
            time.sleep(0.02)
        for part, status in trouble.refused:
            if part in f"{self.command} {unquote(self.path)}":
                return status
        with self.server.one_at_a_time:
            if trouble.draw.random() < trouble.share:
                return trouble.draw.choice(trouble.faults)
        return None

    def _serve(self) -> None:
        """What the emulator answers, but for what it ignores."""
        url = urlparse(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        parts = [unquote(part) for part in url.path.split("/")]
        bucket = parts[parts.index("b") + 1] if "b" in parts[:-1] else ""
        name = query.get("name") or (
            "/".join(parts[parts.index("o") + 1 :]) if "o" in parts else ""
        )
        if query.get("uploadType") == "multipart" and not name:
            name = self._name_in_body()
        now = self.server.generation(bucket, name)
        wanted = query.get("ifGenerationMatch")
        if wanted is not None and int(wanted) != now:
            message = "At least one of the pre-conditions you specified did not hold."
            self._answer(412, {"error": {"code": 412, "message": message}})
        elif "generation" in query and int(query["generation"]) != now:
            self._answer(404, {"error": {"code": 404, "message": f"No such object: {name}"}})
        elif "moveTo" in parts:
            self._move(bucket, name)
        elif self.command == "GET" and parts[-1] == "o":
            self._list(query)
        elif "upload_id" in query:
            self._take_a_part(query["upload_id"])
        else:
            # Readers go on from what they read, and the emulator does not say which it was.
            self.generation_read = now if self.command == "GET" else 0
            Router(self).handle(self.command)

    def end_headers(self) -> None:
        if self.generation_read:
            self.send_header("x-goog-generation", str(self.generation_read))
        super().end_headers()

    def _name_in_body(self) -> str:
        head = self.rfile.getvalue()[:65536]
        start = head.index(b"{")
        return json.JSONDecoder().raw_decode(head[start:].decode(errors="replace"))[0]["name"]

    def _move(self, bucket: str, names: str) -> None:
        source, target = names.split("/moveTo/o/")
        if self.server.generation(bucket, source):
            moved = copied(self.server.url, self.storage, bucket, source, bucket, target)
            self.storage.delete_file(bucket, source)
            self._answer(200, moved)
        else:
            self._answer(404, {"error": {"code": 404, "message": f"No such object: {source}"}})

    def _take_a_part(self, upload: str) -> None:
        """A part of a resumable upload, or the question how much of it has come."""
        finished = self.server.finished
        range = self.headers.get("Content-Range", "")
        asked = range.startswith("bytes */") and range != "bytes */0"  # the end of an empty object
        if upload in finished:  # which the emulator forgets
            self.wfile.write(finished[upload])
        elif asked and not self.storage.get_resumable_byte_count(upload):
            self._answer(308, None)  # the emulator says that one byte has come
        else:
            Router(self).handle(self.command)
            if b" 200 " in self.wfile.getvalue().partition(b"\r\n")[0]:
                finished[upload] = self.wfile.getvalue()

    def _list(self, query: dict[str, str]) -> None:
        whole, self.wfile = self.wfile, io.BytesIO()
        Router(self).handle(self.command)
        answer, self.wfile = self.wfile.getvalue(), whole
        head, _, body = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head.partition(b"\r\n")[0]:
            self.wfile.write(answer)
            return
        said, start = json.loads(body), int(query.get("pageToken", 0))
        end = start + min(self.server.page, int(query.get("maxResults", self.server.page)))
        if len(said["items"]) > end:
            said["nextPageToken"] = str(end)
        said["items"] = said["items"][start:end]
        said["prefixes"] = [] if start else said["prefixes"]
        self._answer(200, said)

    def _answer(self, status: int, said: object) -> None:
        body = b"" if said is None else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            linger = struct.pack("ii", 1, 0)  # a reset in place of an orderly end
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Not a word."""


@contextlib.contextmanager
def serving(**options: object) -> Iterator[BucketServer]:
    """A server of buckets, with the environment that leads this process and its children to it."""
    with BucketServer(**options) as server:
        before = dict(os.environ)
        os.environ["STORAGE_EMULATOR_HOST"] = server.url
        os.environ["TENSORSTORE_GCS_HTTP_URL"] = server.url
        os.environ.setdefault("GOOGLE_CLOUD_PROJECT", "emulated")
        try:
            yield server
        finally:
            os.environ.clear()
            os.environ.update(before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--bucket", default="bucket")
    parser.add_argument("--fail", type=float, default=0.0, help="share of requests that fail")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with BucketServer(args.bucket, args.port) as server:
        server.keep_requests = False
        server.trouble = Trouble(args.fail, draw=random.Random(args.seed))
        print(f"export STORAGE_EMULATOR_HOST={server.url}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
