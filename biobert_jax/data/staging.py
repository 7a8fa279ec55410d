"""Shards from a bucket on this machine's disk, from a little before their use until its end.

Every stream of rows (`data.order`) has its shards brought in its own order: the one that is read
and the next few, as far as its part of the space goes, and none stays behind it. So neither the
order of rows nor resuming knows of it, no host brings another's shards, and no stream can wait for
space that another one holds.
"""

import asyncio
import contextlib
import shutil
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

from biobert_jax import storage
from biobert_jax.corpus.dataset.manifest import NAME, Manifest, Shard, read_manifest
from biobert_jax.data.source import Block, Stream
from biobert_jax.disk import check_space, free_bytes
from biobert_jax.errors import UserError
from biobert_jax.storage.copies import temporary_folder
from biobert_jax.units import size

# Disk that shards may take unless a run says otherwise, in 10^9 bytes.
STAGING_GB = 20.0
# Shards of a stream that are brought before they are needed.
AHEAD = 2
TRANSFERS = 4
# Of the space, at most: held-out shards are read at every evaluation, and stay if they fit in it.
HELDOUT_PART = 0.25


class Staging:
    """The shards of one data set that are on this machine's disk.

    They lie in a folder of this process in TMPDIR, which goes with it; what processes that were
    killed left there is removed by the next.

    Attributes:
      folder: the local folder; files that describe the set lie in it from the beginning.
    """

    def __init__(self, remote: str, max_bytes: int):
        """Brings the manifest.

        Args:
          remote: the folder of a prepared data set, `gs://…`.
          max_bytes: of disk that shards may take.

        Raises:
          StorageError: it cannot be read.
        """
        self._remote, self._max_bytes = remote.rstrip("/"), max_bytes
        self._shards: dict[str, Shard] = {}
        self._places = asyncio.Semaphore(TRANSFERS)
        self.folder = temporary_folder(self)
        self._error: Exception | None = None
        self._blocked, self._blocked_since = 0.0, 0.0
        self._waited = 0.0
        try:
            storage.download(f"{self._remote}/{NAME}", self.folder / NAME)
        except storage.MissingError:
            read_manifest(self._remote)  # which says what is there instead
            raise

    def check(self, manifest: Manifest) -> list[str]:
        """Brings the vocabulary; what differs from the manifest in the bucket, one line each."""
        shards, vocab = manifest.shards, manifest.tokenizer
        self._shards = {shard.name: shard for shard in shards}
        storage.download(
            f"{self._remote}/{vocab['file']}", self.folder / vocab["file"], sha256=vocab["sha256"]
        )
        there = {one.name: one for one in storage.list_folder(self._remote, recursive=False)}
        problems = []
        for shard in shards:
            if shard.name not in there:
                problems.append(f"{self._remote}/{shard.name}: missing")
            elif there[shard.name].size != shard.bytes:
                problems.append(
                    f"{self._remote}/{shard.name}: {there[shard.name].size} bytes, the manifest "
                    f"says {shard.bytes}"
                )
        return problems

    @contextlib.contextmanager
    def train(self, streams: Sequence[Stream]) -> Iterator[list[Stream]]:
        """The streams, whose blocks name local files that are there when they are given.

        Raises:
          UserError: the space does not hold a shard of each stream.
        """
        space = self._max_bytes - self._kept_heldout()
        largest = max(s.bytes for s in self._shards.values() if s.split == "train")
        if largest * len(streams) > space:
            raise UserError(
                f"data.staging_gb {self._max_bytes / 1e9:g}: this host reads {len(streams)} shards "
                f"of {self._remote} at a time, of up to {size(largest)}: raise it, lower "
                "data.num_streams, or prepare the data set with more --shards"
            )
        wanted = min(space, (1 + AHEAD) * largest * len(streams))
        check_space(
            wanted,
            free_bytes(self.folder),
            f"data.dir {self._remote}: staging to {self.folder.parent}",
            "lower data.staging_gb, or set TMPDIR to a larger disk",
        )
        with self._staged(streams, "train", space // len(streams)) as staged:
            yield staged

    @contextlib.contextmanager
    def heldout(self, stream: Stream) -> Iterator[list[Stream]]:
        """As `train`, of the held-out blocks, which stay where they fit."""
        kept = self._kept_heldout()
        largest = max((s.bytes for s in self._shards.values() if s.split == "heldout"), default=0)
        space, keep = max(kept, largest), kept > 0
        with self._staged([stream], "heldout", space, keep) as staged:
            yield staged

    @contextlib.contextmanager
    def _staged(
        self, streams: Sequence[Stream], part: str, space: int, keep: bool = False
    ) -> Iterator[list[Stream]]:
        folder = self.folder / part
        staged = [
            _StagedStream(self, stream(), folder / str(number), space, keep)
            for number, stream in enumerate(streams)
        ]
        try:
            yield [lambda one=one: iter(one) for one in staged]
        finally:
            for one in staged:
                one.close()
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)

    def _kept_heldout(self) -> int:
        """Bytes set aside for held-out shards that stay; 0 where they are too many."""
        whole = sum(s.bytes for s in self._shards.values() if s.split == "heldout")
        return whole if whole <= HELDOUT_PART * self._max_bytes else 0

    def bring(self, name: str, folder: Path) -> "Future":
        """Starts to bring a shard, unless it lies in the folder already."""
        if (folder / name).exists():
            there: Future = Future()
            there.set_result(None)
            return there
        shard = self._shards[name]
        return storage.start_download(
            f"{self._remote}/{name}", folder / name, sha256=shard.sha256, places=self._places
        )

    def bytes_of(self, name: str) -> int:
        """The size of a shard."""
        return self._shards[name].bytes

    def wait_for(self, future: "Future") -> bool:
        """Waits; False: it failed. The error is kept: TensorFlow's thread must not meet it."""
        self._blocked_since = time.monotonic()
        try:
            future.result()
            return True
        except (UserError, OSError) as error:
            self._error = error
            return False
        finally:
            self._blocked += time.monotonic() - self._blocked_since
            self._blocked_since = 0.0

    def blaming(self, batches: Iterator) -> Iterator:
        """The same batches until a shard cannot be brought, whose error is raised then.

        The stream that has it ends; batches of what the others go on to give are no batches.
        """
        for batch in batches:
            if self._error is not None:
                break
            yield batch
        if self._error is not None:
            raise self._error

    def counting(self, batches: Iterator) -> Iterator:
        """As `blaming`; counts how long whoever takes the batches waits for shards."""
        batches = self.blaming(batches)
        while True:
            began, blocked = time.monotonic(), self._all_blocked()
            if (batch := next(batches, None)) is None:
                return
            self._waited += min(time.monotonic() - began, self._all_blocked() - blocked)
            yield batch

    def waited(self) -> float:
        """Seconds that training has waited for shards, which nothing else filled."""
        return self._waited

    def _all_blocked(self) -> float:
        since = self._blocked_since
        return self._blocked + (time.monotonic() - since if since else 0.0)


class _StagedStream:
    """One stream's blocks, whose shards are brought ahead of it and deleted behind it."""

    def __init__(
        self, staging: Staging, blocks: Iterator[Block], folder: Path, space: int, keep: bool
    ):
        self._staging, self._blocks, self._folder = staging, blocks, folder
        self._space, self._keep = space, keep
        self._coming: deque[Block] = deque()
        self._here: dict[str, Future] = {}  # by shard, what is brought or has been
        self._next: Block | None = next(blocks, None)
        self._bring(1)  # of every stream the first comes before any stream's second

    def _bring(self, ahead: int) -> None:
        """Starts to bring shards until so many blocks are ahead, as far as the space goes."""
        while self._next is not None and len(self._coming) < ahead:
            name = self._next.path.name
            if name not in self._here:
                taken = sum(map(self._staging.bytes_of, (name, *self._here)))
                if taken > self._space and not self._keep:
                    return
                self._here[name] = self._staging.bring(name, self._folder)
            self._coming.append(self._next)
            self._next = next(self._blocks, None)

    def __iter__(self) -> Iterator[Block]:
        while self._coming:
            block = self._coming.popleft()
            name = block.path.name
            if not self._staging.wait_for(self._here[name]):
                return
            self._bring(AHEAD)
            yield block._replace(path=self._folder / name)
            if not self._keep and name not in [other.path.name for other in self._coming]:
                del self._here[name]
                (self._folder / name).unlink(missing_ok=True)
            self._bring(AHEAD)

    def close(self) -> None:
        for future in self._here.values():
            future.cancel()
        self._here.clear()
        self._coming.clear()
        self._next = None
