"""One run at a time in a bucket's folder, by an object that its run holds and keeps fresh.

A bucket has no locks that end with their process. The object is created where there is none, or
replaced as it was last seen, both of which the store does for one of several askers alone. While it
changes, its holder is alive; one that has not changed for a while is taken over.
"""

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from biobert_jax import storage
from biobert_jax.errors import UserError
from biobert_jax.storage import ConflictError, MissingError, StorageError
from biobert_jax.storage.anywhere import AnyPath

NAME = "lease.json"
# Seconds: after which an unchanged lease is nobody's; and between two refreshments.
EXPIRES = 90.0
REFRESH = 15.0
_LOOK_AGAIN = 1.0
# A refreshment under way is not waited for longer.
_SECONDS_TO_END = 5.0
# Tokens of this process's own leases.
_HELD_HERE: set[str] = set()


class Lease:
    """Holds `<folder>/lease.json` from `__enter__` to `__exit__`, refreshed by a thread."""

    def __init__(
        self,
        folder: AnyPath,
        *,
        expires: float = EXPIRES,
        refresh: float = REFRESH,
        say: Callable[[str], None] = lambda line: None,
    ):
        """Prepares to take the lease of a folder.

        Args:
          expires: seconds after which a lease that nobody has refreshed is free.
          refresh: seconds between two refreshments of our own.
          say: told in a line that there is a wait.
        """
        self._folder, self._path = folder, folder / NAME
        self._expires, self._refresh, self._say = expires, refresh, say
        self._token, self._number = uuid.uuid4().hex, 0
        self._generation = 0
        self._lost = ""
        self._fresh_at = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep_fresh, name="lease", daemon=True)

    def check(self) -> None:
        """Raises a UserError if the lease is another's by now."""
        # A refreshment may hang, or this machine have slept, while another run took over.
        if not self._lost and _now() - self._fresh_at > self._expires / 2:
            self._look_for_own()
        if self._lost:
            raise UserError(
                f"{self._path}: taken over by {self._lost}, since this run gave no sign for "
                f"{self._expires:.0f} s: this run ends"
            )

    def __enter__(self) -> "Lease":
        """Takes the lease.

        Raises:
          UserError: a live run has it.
        """
        _HELD_HERE.add(self._token)
        try:
            self._take()
        except BaseException:
            self._give_back()
            raise
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stopped.set()
        self._thread.join(_SECONDS_TO_END)
        self._give_back()

    def _take(self) -> None:
        while not self._create():
            seen = self._look()
            if seen is None:
                continue  # released between two looks
            holder, generation = seen
            if holder.get("token") == self._token:  # ours: the answer had been lost
                self._generation = generation
                break
            lives = _lives(holder)
            if lives:
                raise self._held_by(holder)
            if lives is None:
                self._watch(holder, generation)
            if self._replace(generation):
                break

    def _give_back(self) -> None:
        _HELD_HERE.discard(self._token)
        # Where it cannot be reached, it expires.
        with contextlib.suppress(StorageError):
            holder, generation = self._look() or ({}, 0)
            if holder.get("token") == self._token:
                storage.delete(self._path, generation=generation)

    def _create(self) -> bool:
        return self._write(new=True)

    def _replace(self, generation: int) -> bool:
        return self._write(generation=generation)

    def _write(self, **condition: Any) -> bool:
        self._number += 1
        own = {"token": self._token, "number": self._number, **_process()}
        began = _now()
        try:
            written = storage.write_bytes(self._path, json.dumps(own).encode(), **condition)
        except ConflictError:
            return False
        self._generation, self._fresh_at = written.generation, began
        return True

    def _look(self) -> tuple[dict[str, Any], int] | None:
        """What the lease says of its holder, and its generation; None where there is none."""
        try:
            content, found = storage.read_object(self._path)
        except MissingError:
            return None
        return _parse(content), found.generation

    def _watch(self, holder: dict[str, Any], generation: int) -> None:
        """Returns when the lease is free; raises a UserError when its holder is seen to live."""
        self._say(
            f"{self._path}: held by {_name(holder)}: waiting {self._expires:.0f} s for a sign of it"
        )
        silent = 0.0
        while silent < self._expires:
            began = time.monotonic()
            time.sleep(_LOOK_AGAIN)
            seen = self._look()
            # While the bucket answers nobody, its holder cannot give a sign either.
            silent += min(time.monotonic() - began, 3 * _LOOK_AGAIN)
            if seen is None:
                return
            if seen[1] != generation:
                raise self._held_by(seen[0])

    def _held_by(self, holder: dict[str, Any]) -> UserError:
        return UserError(
            f"--workdir {self._folder}: another run is in it ({_name(holder)}): wait for that "
            "one, or stop it"
        )

    def _keep_fresh(self) -> None:
        while not self._stopped.wait(self._refresh):
            try:
                if not self._replace(self._generation) and not self._look_for_own():
                    return
            except Exception:  # out of reach: a later refreshment, or a save, tells
                continue

    def _look_for_own(self) -> bool:
        """Whether the lease is this one's, the answer to whose last writing may have been lost."""
        began = _now()
        holder, generation = self._look() or ({}, 0)
        if holder.get("token") == self._token:
            self._generation, self._fresh_at = generation, began
            return True
        self._lost = _name(holder) if holder else "a run that has ended"
        return False


def _now() -> float:
    """Seconds, those in which the machine slept too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _process() -> dict[str, Any]:
    """What tells this process from any other, on this machine or elsewhere."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        # Of one start of the machine, and of one container in it.
        "machine": [_read("/proc/sys/kernel/random/boot_id"), _link("/proc/self/ns/pid")],
    }


def _lives(holder: dict[str, Any]) -> bool | None:
    """Whether the holder, a process of this very machine, is there; None of another machine's."""
    pid = holder.get("pid")
    machine = _process()["machine"]
    if not isinstance(pid, int) or "" in machine or holder.get("machine") != machine:
        return None
    if pid == os.getpid() and holder.get("token") not in _HELD_HERE:
        return False
    return _started(pid) == holder.get("started")


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks; "" where there is none."""
    stat = _read(f"/proc/{pid}/stat")
    # The name in brackets may hold blanks and brackets; the state, a zombie's too, comes after it.
    fields = stat.rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] != "Z" else ""


def _name(holder: dict[str, Any]) -> str:
    return f"process {holder.get('pid', '?')} on {holder.get('host', 'an unknown host')}"


def _parse(content: bytes) -> dict[str, Any]:
    try:
        values = json.loads(content)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
