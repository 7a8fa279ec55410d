"""tf.data over TFRecord files of rows, and the data sets that `biobert prepare` writes."""

import hashlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from biobert_jax.corpus.dataset.manifest import Manifest, check_shards, read_manifest
from biobert_jax.corpus.dataset.records import RecordFormat, parse_rows
from biobert_jax.corpus.rows.pair_packing import NO_LABEL
from biobert_jax.corpus.text.tokenization import SpecialTokens
from biobert_jax.data.order import choose_num_streams, stream_segments
from biobert_jax.errors import UserError

# A data set up to this size is hashed whole before it is read; a larger one has its sizes checked
# then, and every record's checksum as it is read.
HASH_BYTES = 1 << 30
# What fills padding rows, where it is not 0: they have no sentence pair.
_PADDING = {"next_sentence_labels": NO_LABEL}


class RecordFile(NamedTuple):
    """A TFRecord file and its number of rows, at least 1."""

    path: Path
    rows: int


class TrainingData:
    """Rows to train and evaluate on, from wherever they come.

    Attributes:
      name: what messages call it.
      format: what its records hold.
      train, heldout: its files, in order.
      summary: its size, in words.
      vocab_path, vocab_sha256: the vocabulary that the rows were made with.
      special: that vocabulary's special ids.
      sha256: a hash of all rows' contents.
    """

    def __init__(
        self,
        *,
        name: str,
        format: RecordFormat,
        train: Sequence[RecordFile],
        heldout: Sequence[RecordFile],
        summary: str,
        vocab_path: Path,
        vocab_sha256: str,
        special: SpecialTokens,
        sha256: str,
    ):
        if not train:
            raise UserError(f"{name}: it has no training rows")
        self.name, self.format, self.summary = name, format, summary
        self.train, self.heldout = tuple(train), tuple(heldout)
        self.vocab_path, self.vocab_sha256, self.special = vocab_path, vocab_sha256, special
        self.sha256 = sha256

    def fault(self, message: str) -> UserError:
        """The error of a record that could not be read; `message` is TensorFlow's."""
        return UserError(f"{self.name}: a file is corrupt ({message})")

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
        streams = choose_num_streams(len(self.train), batch_size, num_streams)
        if streams % num_hosts:
            raise UserError(
                f"{num_hosts} hosts cannot share {streams} streams: give at least {num_hosts} "
                "files (--shards of `biobert prepare`) and a data.batch_size they divide"
            )
        rows_each = batch_size // streams
        rows = [file.rows for file in self.train]

        def segments(stream):
            for segment in stream_segments(rows, stream, streams, seed, start_step * rows_each):
                yield os.fspath(self.train[segment.shard].path), segment.first_row

        mine = range(host * streams // num_hosts, (host + 1) * streams // num_hosts)
        yield from self._read([(segments, stream) for stream in mine], rows_each)

    def heldout_batches(self, batch_size: int) -> Iterator[dict[str, np.ndarray]]:
        """The held-out rows in order, once; the last batch is filled up with padding rows.

        Padding rows weigh nothing: no token, no prediction, no sentence pair.
        """
        names = [(os.fspath(file.path), 0) for file in self.heldout]
        for batch in self._read([(lambda _: iter(names), 0)], batch_size, drop_remainder=False):
            missing = batch_size - len(batch["input_ids"])
            yield {
                name: np.pad(rows, ((0, missing), (0, 0)), constant_values=_PADDING.get(name, 0))
                for name, rows in batch.items()
            }

    def _read(
        self,
        sources: Sequence[tuple[Callable[[int], Iterator[tuple[str, int]]], int]],
        rows_each: int,
        *,
        drop_remainder: bool = True,
    ) -> Iterator[dict[str, np.ndarray]]:
        """Reads one dataset a source, `rows_each` rows at a time of each, parsed by the batch."""
        import tensorflow as tf

        def rows(source, stream):
            signature = (tf.TensorSpec((), tf.string), tf.TensorSpec((), tf.int64))
            segments = tf.data.Dataset.from_generator(
                lambda: source(stream), output_signature=signature
            )
            return segments.flat_map(lambda name, skip: tf.data.TFRecordDataset(name).skip(skip))

        datasets = [
            rows(source, stream).batch(rows_each, drop_remainder=drop_remainder)
            for source, stream in sources
        ]
        batches = tf.data.Dataset.zip(tuple(datasets)).map(
            lambda *parts: parse_rows(tf.concat(parts, 0), self.format),
            num_parallel_calls=2,
            deterministic=True,
        )
        try:
            yield from batches.prefetch(4).as_numpy_iterator()
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
            raise self.fault(error.message.splitlines()[0]) from error


class PreparedData(TrainingData):
    """A data set that `biobert prepare` wrote, checked against its manifest."""

    def __init__(self, directory: str | os.PathLike):
        """Opens `directory`.

        Raises:
          UserError: no data set there; a shard that differs from the manifest.
        """
        if not directory:
            raise UserError(
                "data.dir is not set: give the folder that `biobert prepare` wrote (or data.files: "
                "records of google's create_pretraining_data.py)"
            )
        require_tensorflow()
        directory = Path(directory)
        self.manifest: Manifest = read_manifest(directory)
        shards, tokenizer = self.manifest.shards, self.manifest.tokenizer
        small = sum(shard.bytes for shard in shards) <= HASH_BYTES
        problems = check_shards(directory, self.manifest, hashes=small)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise UserError(f"{problems[0]}{more}: prepare the data set anew")
        super().__init__(
            name=os.fspath(directory),
            format=self.manifest.format,
            train=self._files(directory, "train"),
            heldout=self._files(directory, "heldout"),
            summary=f"{self.manifest.num_rows:,} rows of {self.manifest.max_seq_length} "
            f"at fill {self.manifest.fill:.1%}",
            vocab_path=directory / tokenizer["file"],
            vocab_sha256=tokenizer["sha256"],
            special=SpecialTokens(**tokenizer["special"]),
            sha256=hashlib.sha256("".join(s.sha256 for s in shards).encode()).hexdigest(),
        )

    def fault(self, message: str) -> UserError:
        return UserError(
            f"{self.name}: a shard is corrupt ({message}): find it with `biobert verify "
            f"{self.name}` and prepare the data set anew"
        )

    def _files(self, directory: Path, split: str) -> list[RecordFile]:
        shards = self.manifest.split(split)
        return [RecordFile(directory / shard.name, shard.rows) for shard in shards if shard.rows]


def require_tensorflow() -> None:
    """Says before any work is done that reading TFRecords needs TensorFlow."""
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError("TFRecords need TensorFlow: pip install 'biobert-jax[tf]'")
