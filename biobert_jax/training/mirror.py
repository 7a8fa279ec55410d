"""A bucket's folder of a run as a local one: what is not a checkpoint is kept here, and sent there.

A bucket's object cannot be appended to. `metrics.jsonl` goes there in numbered parts,

    metrics.jsonl.parts/<number>-<offset>

each of which says from which byte on it replaces what the parts before it come to: a run that goes
on from an earlier step begins a part at that step's end. All else is sent whole where it changed.
Imports neither JAX nor TensorFlow.
"""

import re
import shutil
import threading
from pathlib import Path

from biobert_jax import storage
from biobert_jax.checkpoints.manifest import FOLDER as CHECKPOINTS
from biobert_jax.storage import MissingError
from biobert_jax.storage.anywhere import AnyPath

METRICS = "metrics.jsonl"
PARTS = f"{METRICS}.parts"
MANY_PARTS = 50
TRIES = 3
# Folders that all processes write into: checkpoints, and programs (`training.compiled`).
_OF_ALL = {CHECKPOINTS, "compiled"}
_PART = re.compile(r"\d+-\d+")


class Mirror:
    """What process 0 of a run keeps of its workdir in a bucket."""

    def __init__(self, remote: AnyPath, local: Path):
        """Mirrors `remote`, a folder of a bucket, in `local`, which need not exist."""
        self._remote, self._local = remote, local
        self._lock = threading.Lock()
        # Of what the bucket has: size and time of change by name, and the metrics with the number
        # of their next part.
        self._sent: dict[str, tuple[int, int]] = {}
        self._metrics: dict[str, tuple[bytes, int]] = {}
        self._parts: dict[str, int] = {}

    def pull(self) -> None:
        """Empties the local folder, and brings what the bucket has."""
        shutil.rmtree(self._local, ignore_errors=True)
        self._local.mkdir(parents=True)
        self._bring()
        for folder in sorted(self._local.rglob(PARTS)):
            parts = {p.name: p.read_bytes() for p in folder.iterdir() if _PART.fullmatch(p.name)}
            shutil.rmtree(folder)
            metrics = folder.with_name(METRICS)
            metrics.write_bytes(join(parts))
            name = metrics.relative_to(self._local).as_posix()
            self._parts[name] = len(parts)
            self._metrics[name] = (join(parts), 1 + max(map(_number, parts), default=-1))
        self._sent = {name: self._state(name) for name in self._names()}

    def shorten(self) -> None:
        """Puts one part in the place of many, as a run of many saves has left."""
        for name, number in self._parts.items():
            if number <= MANY_PARTS:
                continue
            content, next_number = self._metrics[name]
            whole, own = next_part(next_number, b"", content)
            storage.write_bytes(self._remote / f"{name}.parts" / whole, own)
            storage.delete_folder(self._remote / f"{name}.parts", keep={whole})
            self._metrics[name] = (content, next_number + 1)

    def _bring(self) -> None:
        for attempt in range(TRIES):
            try:
                storage.download_folder(self._remote, self._local, wanted=_is_mirrored)
                return
            except MissingError:  # nothing there, or a run has written it anew meanwhile
                if not storage.list_folder(self._remote):
                    return
                if attempt == TRIES - 1:
                    raise

    def push(self) -> None:
        """Sends what has changed since; may be called while a run writes."""
        with self._lock:
            for name in self._names():
                if name.rpartition("/")[2] == METRICS:
                    self._push_metrics(name)
                elif (state := self._state(name)) != self._sent.get(name):
                    storage.upload(self._local / name, self._remote / name)
                    self._sent[name] = state

    def _push_metrics(self, name: str) -> None:
        content = (self._local / name).read_bytes()
        content = content[: content.rfind(b"\n") + 1]  # the line being written comes later
        there, number = self._metrics.get(name, (b"", 0))
        if content == there:
            return
        part, own = next_part(number, there, content)
        storage.write_bytes(self._remote / f"{name}.parts" / part, own)
        self._metrics[name] = (content, number + 1)

    def _names(self) -> list[str]:
        files = (path for path in sorted(self._local.rglob("*")) if path.is_file())
        names = (path.relative_to(self._local).as_posix() for path in files)
        return [name for name in names if _is_mirrored(name)]

    def _state(self, name: str) -> tuple[int, int]:
        state = (self._local / name).stat()
        return state.st_size, state.st_mtime_ns


def next_part(number: int, there: bytes, content: bytes) -> tuple[str, bytes]:
    """The name and content of the part that makes `content` of what the parts before come to."""
    offset = _common(content, there)
    return f"{number:08d}-{offset:012d}", content[offset:]


def join(parts: dict[str, bytes]) -> bytes:
    """What the parts of a `metrics.jsonl.parts`, by name, come to."""
    content = b""
    for part in sorted(parts, key=_number):
        content = content[: int(part.partition("-")[2])] + parts[part]
    return content


def _number(part: str) -> int:
    return int(part.partition("-")[0])


def _common(one: bytes, other: bytes) -> int:
    """The length of what two texts begin with alike, by halving what is not known yet."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _is_mirrored(name: str) -> bool:
    """Not what all processes write; not locks, leases and temporary files."""
    *folders, last = name.split("/")
    return not _OF_ALL & set(folders) and not last.startswith(".") and last != "lease.json"
