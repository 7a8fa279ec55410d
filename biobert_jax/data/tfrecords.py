"""tf.data over TFRecord files of rows, and the data sets that `biobert prepare` writes."""

import hashlib
import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from biobert_jax import storage
from biobert_jax.corpus.dataset.manifest import Manifest, check_shards, read_manifest
from biobert_jax.corpus.dataset.records import parse_rows
from biobert_jax.corpus.text.tokenization import SpecialTokens
from biobert_jax.data.source import HASH_BYTES, Block, Stream, TrainingData
from biobert_jax.data.staging import STAGING_GB, Staging
from biobert_jax.errors import UserError
from biobert_jax.units import plural

# Threads of a reader. They are its own: TensorFlow's pool takes every core, and the cores are also
# wanted for dispatching steps and, on a CPU, for the steps themselves.
NUM_THREADS = 2
# Batches made ahead.
PREFETCH = 4


class RecordData(TrainingData):
    """Rows in TFRecord files, each of which is one block. Every record's checksum is compared."""

    def _read(self, streams: Sequence[Stream], rows_each: int) -> Iterator[dict[str, np.ndarray]]:
        import tensorflow as tf

        def segments(stream):
            for block in streams[stream]():
                yield os.fspath(block.path), block.first_row

        def records(stream):
            # A block ends with its file.
            signature = (tf.TensorSpec((), tf.string), tf.TensorSpec((), tf.int64))
            return tf.data.Dataset.from_generator(
                segments, output_signature=signature, args=(stream,)
            ).flat_map(lambda name, first_row: tf.data.TFRecordDataset(name).skip(first_row))

        # One function serves all streams: a graph for each takes a tenth of a second a stream to
        # build. All are open at a time and give their rows in turn, so that a batch of the
        # interleaved rows is a batch of the global order; records are parsed by the batch.
        options = tf.data.Options()
        options.threading.private_threadpool_size = NUM_THREADS
        options.threading.max_intra_op_parallelism = 1
        options.autotune.enabled = False
        batches = (
            tf.data.Dataset.range(len(streams))
            .interleave(records, cycle_length=len(streams), block_length=rows_each)
            .batch(len(streams) * rows_each)
            .map(lambda rows: parse_rows(rows, self.format), num_parallel_calls=NUM_THREADS)
            .prefetch(PREFETCH)
            .with_options(options)
        )
        try:
            yield from batches.as_numpy_iterator()
        except tf.errors.OpError as error:
            raise self.fault(error.message.splitlines()[0]) from error


class PreparedData(RecordData):
    """A data set that `biobert prepare` wrote, checked against its manifest."""

    def __init__(self, directory: str | os.PathLike, *, staging_gb: float = STAGING_GB):
        """Opens `directory`, a local one or one in a bucket.

        Args:
          staging_gb: 10^9 bytes of disk that the shards of one in a bucket may take at a time.

        Raises:
          UserError: no data set there; a shard that differs from the manifest.
        """
        if not directory:
            raise UserError(
                "data.dir is not set: give the folder that `biobert prepare` or `biobert export` "
                "wrote (or data.files: records of google's create_pretraining_data.py)"
            )
        require_tensorflow()
        name, staging = os.fspath(directory), None
        if storage.is_remote(directory):
            staging = Staging(name, round(staging_gb * 1e9))
        directory = staging.folder if staging else Path(directory)
        self.manifest: Manifest = read_manifest(directory)
        shards, tokenizer = self.manifest.shards, self.manifest.tokenizer
        if staging:
            problems = staging.check(self.manifest)
        else:
            small = sum(shard.bytes for shard in shards) <= HASH_BYTES
            problems = check_shards(directory, self.manifest, hashes=small)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise UserError(f"{problems[0]}{more}: prepare the data set anew")
        super().__init__(
            name=name,
            format=self.manifest.format,
            train=self._blocks(directory, "train"),
            heldout=self._blocks(directory, "heldout"),
            summary=f"{plural(self.manifest.num_rows, 'row')} of {self.manifest.max_seq_length} "
            f"at fill {self.manifest.fill:.1%}",
            vocab_path=directory / tokenizer["file"],
            vocab_sha256=tokenizer["sha256"],
            special=SpecialTokens(**tokenizer["special"]),
            sha256=hashlib.sha256("".join(s.sha256 for s in shards).encode()).hexdigest(),
            staging=staging,
        )

    def fault(self, message: str) -> UserError:
        return UserError(
            f"{self.name}: a shard is corrupt ({message}): find it with `biobert verify "
            f"{self.name}` and prepare the data set anew"
        )

    def _blocks(self, directory: Path, split: str) -> list[Block]:
        shards = self.manifest.split(split)
        return [Block(directory / shard.name, shard.rows) for shard in shards if shard.rows]


def require_tensorflow() -> None:
    """Says before any work is done that reading TFRecords needs TensorFlow."""
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError(
            "TFRecords need TensorFlow: pip install 'biobert-jax[tf]', or train on arrays that "
            "`biobert export` made of a prepared data set elsewhere"
        )
