"""What training needs of a data set, whatever its files are; reading them is left to subclasses."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from biobert_jax.corpus.dataset.records import RecordFormat
from biobert_jax.corpus.rows.pair_packing import NO_LABEL
from biobert_jax.corpus.text.tokenization import SpecialTokens
from biobert_jax.data.order import choose_num_streams, stream_segments
from biobert_jax.errors import UserError

if TYPE_CHECKING:
    from biobert_jax.data.staging import Staging

# A data set up to this size is hashed whole before it is read; of a larger one only the sizes are
# compared then.
HASH_BYTES = 1 << 30
# What fills padding rows, where it is not 0: they have no sentence pair.
_PADDING = {"next_sentence_labels": NO_LABEL}


class Block(NamedTuple):
    """Consecutive rows of a file, at least one: what an epoch permutes.

    A TFRecord file is one block, an array many: see `data.arrays`.
    """

    path: Path
    rows: int
    first_row: int = 0

    def skip(self, rows: int) -> "Block":
        """The block without its first rows."""
        return Block(self.path, self.rows - rows, self.first_row + rows)


# The blocks that a stream reads, one after the other.
Stream = Callable[[], Iterator[Block]]


class TrainingData(ABC):
    """Rows to train and evaluate on, from wherever they come.

    Attributes:
      name: what messages call it.
      format: what its records hold.
      train, heldout: its blocks, in order.
      summary: its size, in words.
      vocab_path, vocab_sha256: the vocabulary that the rows were made with.
      special: that vocabulary's special ids.
      sha256: a hash of all rows' contents.
      staging: what brings its files from a bucket; None: they are on this machine.
    """

    def __init__(
        self,
        *,
        name: str,
        format: RecordFormat,
        train: Sequence[Block],
        heldout: Sequence[Block],
        summary: str,
        vocab_path: Path,
        vocab_sha256: str,
        special: SpecialTokens,
        sha256: str,
        staging: "Staging | None" = None,
    ):
        if not train:
            raise UserError(f"{name}: it has no training rows")
        self.name, self.format, self.summary = name, format, summary
        self.train, self.heldout = tuple(train), tuple(heldout)
        self.vocab_path, self.vocab_sha256, self.special = vocab_path, vocab_sha256, special
        self.sha256 = sha256
        self.staging = staging

    def fault(self, message: str) -> UserError:
        """The error of a row that could not be read; `message` is the reader's."""
        return UserError(f"{self.name}: a file is corrupt ({message})")

    def num_streams(self, batch_size: int, requested: int = 0, num_hosts: int = 1) -> int:
        """The streams of the global order, see `data.order`.

        Raises:
          UserError: the files or hosts do not allow the number that is requested, or chosen.
        """
        streams = choose_num_streams(len(self.train), batch_size, requested)
        if streams % num_hosts:
            raise UserError(
                f"{self.name}: {num_hosts} hosts cannot share {streams} streams of rows: set "
                f"data.num_streams to a multiple of {num_hosts} that divides the batch of "
                f"{batch_size} rows, on at least as many shards (there are {len(self.train)}; "
                "--shards of `biobert prepare`)"
            )
        return streams

    def train_batches(
        self,
        batch_size: int,
        *,
        seed: int,
        start_step: int = 0,
        num_streams: int = 0,
        host: int = 0,
        num_hosts: int = 1,
    ) -> Iterator[dict[str, np.ndarray]]:
        """This host's part of each global batch from `start_step` on, without end.

        Args:
          batch_size: B, rows of the global batch; every host gets B / num_hosts of them.
          num_streams: see `data.order`; 0 chooses.

        Yields:
          The format's features, [B / num_hosts, size], as `parse_rows` gives them.
        """
        streams = self.num_streams(batch_size, num_streams, num_hosts)
        rows_each = batch_size // streams
        rows = [block.rows for block in self.train]

        def blocks(stream):
            for segment in stream_segments(rows, stream, streams, seed, start_step * rows_each):
                yield self.train[segment.shard].skip(segment.first_row)

        mine = range(host * streams // num_hosts, (host + 1) * streams // num_hosts)
        for batch in self._train([lambda v=stream: blocks(v) for stream in mine], rows_each):
            self._check_indices(batch)
            yield batch

    def heldout_batches(self, batch_size: int) -> Iterator[dict[str, np.ndarray]]:
        """The held-out rows in order, once; the last batch is filled up with padding rows.

        Padding rows weigh nothing: no token, no prediction, no sentence pair.
        """
        for batch in self._heldout(batch_size):
            self._check_indices(batch)
            missing = batch_size - len(batch["input_ids"])
            yield {
                name: np.pad(rows, ((0, missing), (0, 0)), constant_values=_PADDING.get(name, 0))
                for name, rows in batch.items()
            }

    def waited_for_staging(self) -> float:
        """Seconds that training has waited for shards from a bucket."""
        return self.staging.waited() if self.staging else 0.0

    def _train(self, streams: Sequence[Stream], rows_each: int) -> Iterator[dict[str, np.ndarray]]:
        if self.staging is None:
            yield from self._read(streams, rows_each)
            return
        with self.staging.train(streams) as staged:
            yield from self.staging.counting(self._read(staged, rows_each))

    def _heldout(self, batch_size: int) -> Iterator[dict[str, np.ndarray]]:
        stream = lambda: iter(self.heldout)  # noqa: E731
        if self.staging is None:
            yield from self._read([stream], batch_size)
            return
        with self.staging.heldout(stream) as staged:
            yield from self.staging.blaming(self._read(staged, batch_size))

    def _check_indices(self, batch: dict[str, np.ndarray]) -> None:
        """Refuses rows that point beyond a table: JAX would take its last entry, and say nothing.

        Raises:
          UserError: such a row.
        """
        tokens, positions = self.format.vocab_size, self.format.max_seq_length
        for name, size in (
            ("input_ids", tokens),
            ("masked_lm_ids", tokens),
            ("masked_lm_positions", positions),
            ("token_type_ids", 2),
            ("segment_ids", 2),
        ):
            values = batch.get(name)
            # Signed numbers as unsigned ones: so one look finds those below 0, too.
            if values is not None and values.size:
                largest = values.view(values.dtype.str.replace("i", "u")).max()
                if largest >= size:
                    place = np.argwhere((values < 0) | (values >= size))[0]
                    raise self.fault(f"{name} has {values[tuple(place)]}, not below {size:,}")

    @abstractmethod
    def _read(self, streams: Sequence[Stream], rows_each: int) -> Iterator[dict[str, np.ndarray]]:
        """Batches of the next `rows_each` rows of each stream, one stream after the other.

        Several streams are endless; of a single one that ends the last batch may be smaller.

        Yields:
          The format's features, [len(streams) * rows_each, size].

        Raises:
          UserError: rows that cannot be read.
        """
