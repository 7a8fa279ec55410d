"""tf.data over the shards of a prepared data set."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from biobert_jax.corpus.dataset.manifest import Manifest, check_shards, read_manifest
from biobert_jax.corpus.dataset.records import parse_rows, require_tensorflow
from biobert_jax.data.order import choose_num_streams, stream_segments
from biobert_jax.errors import UserError

# A data set up to this size is hashed whole before it is read; a larger one has its sizes checked
# then, and every record's checksum as it is read.
HASH_BYTES = 1 << 30


class PreparedData:
    """A data set that `biobert prepare` wrote, checked against its manifest."""

    def __init__(self, directory: str | os.PathLike):
        """Opens `directory`.

        Raises:
          UserError: no data set there; a shard that differs from the manifest.
        """
        if not directory:
            raise UserError("data.dir is not set: give the folder that `biobert prepare` wrote")
        require_tensorflow()
        self.directory = Path(directory)
        self.manifest: Manifest = read_manifest(directory)
        small = sum(shard.bytes for shard in self.manifest.shards) <= HASH_BYTES
        problems = check_shards(self.directory, self.manifest, hashes=small)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise UserError(f"{problems[0]}{more}: prepare the data set anew")

    @property
    def vocab_path(self) -> Path:
        """The vocabulary that the rows were made with."""
        return self.directory / self.manifest.tokenizer["file"]

    @property
    def sha256(self) -> str:
        """A hash of all shards' contents, and so of every row."""
        hashes = "".join(shard.sha256 for shard in self.manifest.shards)
        return hashlib.sha256(hashes.encode()).hexdigest()

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
          `input_ids` and `sequence_ids`, [B / num_hosts, L] as stored (unsigned 16 bit, or
          int32 ids of a large vocabulary).
        """
        shards = self.manifest.split("train")
        if not shards:
            raise UserError(f"{self.directory}: the data set has no training rows")
        streams = choose_num_streams(len(shards), batch_size, num_streams)
        if streams % num_hosts:
            raise UserError(
                f"{num_hosts} hosts cannot share {streams} streams: prepare the data set with at "
                f"least {num_hosts} --shards and choose a data.batch_size they divide"
            )
        rows_each = batch_size // streams
        names = [os.fspath(self.directory / shard.name) for shard in shards]
        shard_rows = [shard.rows for shard in shards]

        def segments(stream):
            for segment in stream_segments(
                shard_rows, stream, streams, seed, start_step * rows_each
            ):
                yield names[segment.shard], segment.first_row

        mine = range(host * streams // num_hosts, (host + 1) * streams // num_hosts)
        yield from self._read([(segments, stream) for stream in mine], rows_each)

    def heldout_batches(self, batch_size: int) -> Iterator[dict[str, np.ndarray]]:
        """The held-out rows in order, once; the last batch is filled up with padding rows."""
        shards = self.manifest.split("heldout")
        names = [(os.fspath(self.directory / shard.name), 0) for shard in shards]
        for batch in self._read([(lambda _: iter(names), 0)], batch_size, drop_remainder=False):
            missing = batch_size - len(batch["input_ids"])
            yield {k: np.pad(v, ((0, missing), (0, 0))) for k, v in batch.items()}

    def _read(self, sources, rows_each, *, drop_remainder=True):
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
        manifest = self.manifest
        batches = tf.data.Dataset.zip(tuple(datasets)).map(
            lambda *parts: parse_rows(
                tf.concat(parts, 0), manifest.max_seq_length, manifest.tokenizer["vocab_size"]
            ),
            num_parallel_calls=2,
            deterministic=True,
        )
        try:
            yield from batches.prefetch(4).as_numpy_iterator()
        except tf.errors.DataLossError as error:
            raise UserError(
                f"{self.directory}: a shard is corrupt ({error.message.splitlines()[0]}): find it "
                f"with `biobert verify {self.directory}` and prepare the data set anew"
            ) from error
