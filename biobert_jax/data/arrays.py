"""Arrays that `biobert export` wrote, read without TensorFlow.

Parts are few and large, so what an epoch permutes and deals to the streams (`data.order`) is not a
part but a block: consecutive rows of one part, 1024 or more blocks a data set, of at most 4096
rows. A batch then mixes rows of up to 64 places, and any usual number of hosts can share one part.
The size of the blocks is a function of the number of training rows alone: with (seed, step) it
decides the order, whatever the number of hosts.

Rows are read from their place in the file into the batch. Nothing else is held, so memory does not
grow with the data, and going on at any step costs as much as beginning. (A mapping would do the
same, but kills the process where a file ends early.)
"""

import asyncio
import hashlib
import os
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import numpy as np

from biobert_jax import storage
from biobert_jax.corpus.dataset.export import NAME, array_offsets, read_index
from biobert_jax.corpus.dataset.manifest import check_shards
from biobert_jax.corpus.text.tokenization import SpecialTokens
from biobert_jax.data.order import MAX_STREAMS
from biobert_jax.data.source import HASH_BYTES, Block, Stream, TrainingData
from biobert_jax.data.staging import STAGING_GB, TRANSFERS
from biobert_jax.disk import check_space, free_bytes
from biobert_jax.errors import UserError
from biobert_jax.storage.copies import temporary_folder
from biobert_jax.units import plural
from biobert_jax.units import size as size_of

MAX_BLOCK_ROWS = 4096
# Of a data set with enough rows. Streams differ by one block in what they read in an epoch: it
# should be little of what each reads.
MIN_BLOCKS = 16 * MAX_STREAMS
# Batches made ahead.
PREFETCH = 4
# Batches read at once, where each takes few rows of each of many streams: a read costs more than
# the rows of one batch.
WINDOW = 8
_MAX_OPEN_FILES = 256


class ArrayData(TrainingData):
    """A folder that `biobert export` wrote, checked against its `arrays.json`."""

    def __init__(self, directory: str | os.PathLike, *, staging_gb: float = STAGING_GB):
        """Opens `directory`; one in a bucket is first brought to this machine, all of it.

        Its blocks are read from all over its parts from the beginning on.

        Args:
          staging_gb: 10^9 bytes of disk that one in a bucket may take.

        Raises:
          UserError: no arrays there; a part or a vocabulary that differs from the index.
        """
        name = os.fspath(directory)
        if storage.is_remote(directory):
            self._own_folder = temporary_folder(self)
            directory = self._own_folder
            _bring(name, directory, round(staging_gb * 1e9))
        directory = Path(directory)
        index = read_index(directory)
        small = sum(part.bytes for part in index.shards) <= HASH_BYTES
        problems = check_shards(directory, index, hashes=small)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise UserError(f"{problems[0]}{more}: export the data set anew")
        self._offsets = {
            directory / part.name: array_offsets(directory / part.name, index.format, part.rows)
            for part in index.shards
        }
        train, heldout = index.split("train"), index.split("heldout")
        num_rows = sum(part.rows for part in train)
        size = block_rows(num_rows)
        blocks = [Block(directory / part.name, part.rows) for part in train]
        super().__init__(
            name=name,
            format=index.format,
            train=[piece for block in blocks for piece in split_block(block, size)],
            heldout=[Block(directory / part.name, part.rows) for part in heldout],
            summary=f"{plural(num_rows, 'row')} of {index.format.max_seq_length} in "
            f"{plural(len(train), 'part')}",
            vocab_path=directory / index.tokenizer["file"],
            vocab_sha256=index.tokenizer["sha256"],
            special=SpecialTokens(**index.tokenizer["special"]),
            sha256=hashlib.sha256("".join(p.sha256 for p in index.shards).encode()).hexdigest(),
        )

    def fault(self, message: str) -> UserError:
        return UserError(
            f"{self.name}: {message}: find what is damaged with `biobert verify {self.name}` and "
            "export the data set anew"
        )

    def _read(self, streams: Sequence[Stream], rows_each: int) -> Iterator[dict[str, np.ndarray]]:
        try:
            yield from read_ahead(self._batches(streams, rows_each), PREFETCH)
        except OSError as error:
            raise self.fault(f"{error.filename or 'reading'}: {error.strerror}") from error

    def _batches(
        self, streams: Sequence[Stream], rows_each: int
    ) -> Iterator[dict[str, np.ndarray]]:
        window = WINDOW if len(streams) > 1 else 1
        cuts = [cut_blocks(stream(), window * rows_each) for stream in streams]
        with closing(_OpenFiles()) as files:
            for pieces in zip(*cuts, strict=True):
                rows = self._rows([block for piece in pieces for block in piece], files)
                # They come by stream, then by batch.
                by_batch = {
                    name: values.reshape(len(streams), window, -1, values.shape[1]).swapaxes(0, 1)
                    for name, values in rows.items()
                }
                for number in range(window):
                    yield {
                        name: values[number].reshape(-1, values.shape[-1])
                        for name, values in by_batch.items()
                    }

    def _rows(self, blocks: Sequence[Block], files: "_OpenFiles") -> dict[str, np.ndarray]:
        """The rows of blocks, [rows, size] by feature."""
        count = sum(block.rows for block in blocks)
        rows = {
            name: np.empty((count, feature.size), feature.dtype)
            for name, feature in self.format.features.items()
        }
        first = 0
        for block in blocks:
            file, offsets = files[block.path], self._offsets[block.path]
            for name, values in rows.items():
                place = offsets[name] + block.first_row * values.strides[0]
                self._fill(file, place, values[first : first + block.rows])
            first += block.rows
        if self.format.record_format == "bert":  # in the types that TFRecords give
            for name, values in rows.items():
                if values.dtype.kind == "i":
                    rows[name] = values.astype(np.int32)
        return rows

    def _fill(self, file: BinaryIO, place: int, rows: np.ndarray) -> None:
        """Reads rows [n, size], contiguous, from where they start in a file."""
        rest = memoryview(rows).cast("B")
        file.seek(place)
        while rest:
            count = file.readinto(rest)
            if not count:
                raise self.fault(f"{file.name} ends early")
            rest = rest[count:]


def _bring(remote: str, folder: Path, max_bytes: int) -> None:
    """Brings exported arrays from a bucket; their hashes are compared on the way.

    Raises:
      UserError: they take more than `max_bytes`, or than the disk has; one is damaged.
    """
    remote = remote.rstrip("/")
    storage.download(f"{remote}/{NAME}", folder / NAME)
    index = read_index(folder)
    needed = sum(part.bytes for part in index.shards)
    if needed > max_bytes:
        raise UserError(
            f"data.staging_gb {max_bytes / 1e9:g}: {remote} has {size_of(needed)} of arrays, which "
            "are brought to this machine as a whole: raise it, or train on the data set that they "
            "were exported from"
        )
    where = f"data.dir {remote}: staging to {folder.parent}"
    check_space(needed, free_bytes(folder), where, "set TMPDIR to a larger disk")
    vocab = index.tokenizer
    hashes = {part.name: part.sha256 for part in index.shards} | {vocab["file"]: vocab["sha256"]}
    places = asyncio.Semaphore(TRANSFERS)
    coming = [
        storage.start_download(f"{remote}/{name}", folder / name, sha256=sha256, places=places)
        for name, sha256 in hashes.items()
    ]
    try:
        for future in coming:
            future.result()
    finally:
        for future in coming:
            future.cancel()


def block_rows(num_rows: int) -> int:
    """Rows of a block of a data set with so many training rows."""
    return min(max(num_rows // MIN_BLOCKS, 1), MAX_BLOCK_ROWS)


def split_block(block: Block, size: int) -> Iterator[Block]:
    """A block as blocks of `size` rows; the last may have fewer."""
    for first in range(0, block.rows, size):
        yield block.skip(first)._replace(rows=min(size, block.rows - first))


def cut_blocks(blocks: Iterator[Block], size: int) -> Iterator[list[Block]]:
    """Lists of consecutive blocks with `size` rows together; the last list may have fewer."""
    pieces, missing = [], size
    for block in blocks:
        while block.rows:
            piece = block._replace(rows=min(block.rows, missing))
            pieces.append(piece)
            block = block.skip(piece.rows)
            missing -= piece.rows
            if not missing:
                yield pieces
                pieces, missing = [], size
    if pieces:
        yield pieces


def read_ahead(batches: Iterator, count: int) -> Iterator:
    """The same batches, made in a thread that is up to `count` ahead.

    An error is raised in its place in the order. Closing the iterator ends the thread.
    """
    with closing(batches), ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        ahead = deque(pool.submit(next, batches, None) for _ in range(count))
        while (batch := ahead.popleft().result()) is not None:
            ahead.append(pool.submit(next, batches, None))
            yield batch


class _OpenFiles:
    """Files open for reading by path, those that were used last."""

    def __init__(self):
        self._files: OrderedDict[Path, BinaryIO] = OrderedDict()

    def __getitem__(self, path: Path) -> BinaryIO:
        if path not in self._files:
            if len(self._files) == _MAX_OPEN_FILES:
                self._files.popitem(last=False)[1].close()
            # Without a buffer: what is read goes straight into the batch.
            self._files[path] = open(path, "rb", buffering=0)
        self._files.move_to_end(path)
        return self._files[path]

    def close(self) -> None:
        for file in self._files.values():
            file.close()
