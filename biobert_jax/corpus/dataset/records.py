"""Packed rows as tf.train.Example records: the bytes of a shard.

Features: `input_ids` and `sequence_ids`, each one bytes value of L little-endian numbers (uint16,
or int32 for the ids of a vocabulary over 65,536). Raw bytes parse several times faster than
Int64Lists, and every record of a data set has the same size.
"""

import errno
import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from biobert_jax.corpus.dataset.manifest import Manifest
from biobert_jax.errors import UserError


def require_tensorflow() -> None:
    """Says before any work is done that TFRecords need TensorFlow."""
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError("TFRecords need TensorFlow: pip install 'biobert-jax[tf]'")


def id_dtype(vocab_size: int) -> np.dtype:
    """The type that stores token ids."""
    return np.dtype("<u2") if vocab_size <= 65536 else np.dtype("<i4")


SEQUENCE_DTYPE = np.dtype("<u2")


class RecordEncoder:
    """Serialises rows to Example protos.

    The proto of one row is made by TensorFlow; since all rows have the same sizes, every other
    row only exchanges the two payloads in it (30 times faster, and byte for byte the same).
    """

    def __init__(self, max_seq_length: int, vocab_size: int):
        import tensorflow as tf

        sizes = {
            "input_ids": max_seq_length * id_dtype(vocab_size).itemsize,
            "sequence_ids": max_seq_length * SEQUENCE_DTYPE.itemsize,
        }
        # Payloads that occur nowhere else in the proto: random bytes of full length.
        payloads = {name: np.random.default_rng(0).bytes(size) for name, size in sizes.items()}
        payloads["sequence_ids"] = payloads["sequence_ids"][::-1]
        features = {
            name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[payload]))
            for name, payload in payloads.items()
        }
        example = tf.train.Example(features=tf.train.Features(feature=features))
        self._template = bytearray(example.SerializeToString(deterministic=True))
        self._slices = {}
        for name, payload in payloads.items():
            start = self._template.find(payload)
            self._slices[name] = slice(start, start + len(payload))

    def __call__(self, input_ids: bytes, sequence_ids: bytes) -> bytes:
        """The serialised Example of a row given the raw bytes of its two arrays."""
        self._template[self._slices["input_ids"]] = input_ids
        self._template[self._slices["sequence_ids"]] = sequence_ids
        return bytes(self._template)


def write_shard(path: Path, records: Iterable[bytes]) -> None:
    """Writes serialised records as an uncompressed TFRecord file."""
    import tensorflow as tf

    try:
        with tf.io.TFRecordWriter(os.fspath(path)) as writer:
            for record in records:
                writer.write(record)
    except tf.errors.ResourceExhaustedError as error:
        raise OSError(errno.ENOSPC, error.message, os.fspath(path)) from error


def parse_rows(serialized, max_seq_length: int, vocab_size: int) -> dict:
    """A batch of serialised records (TensorFlow strings [B]) to int arrays [B, L].

    Runs inside tf.data: parses the batch at once.
    """
    import tensorflow as tf

    feature = tf.io.FixedLenFeature([], tf.string)
    parsed = tf.io.parse_example(serialized, {"input_ids": feature, "sequence_ids": feature})
    dtypes = {
        "input_ids": tf.uint16 if id_dtype(vocab_size).itemsize == 2 else tf.int32,
        "sequence_ids": tf.uint16,
    }
    return {
        name: tf.ensure_shape(tf.io.decode_raw(parsed[name], dtype), [None, max_seq_length])
        for name, dtype in dtypes.items()
    }


def count_records(directory: Path, manifest: Manifest) -> list[str]:
    """Shards whose number of readable records is not the manifest's, one line each."""
    import tensorflow as tf

    problems = []
    for shard in manifest.shards:
        path = directory / shard.name
        try:
            batches = tf.data.TFRecordDataset(os.fspath(path)).batch(1024)
            count = sum(len(batch) for batch in batches.as_numpy_iterator())
        except tf.errors.DataLossError as error:
            problems.append(f"{path}: corrupt ({error.message.splitlines()[0]})")
            continue
        if count != shard.rows:
            problems.append(f"{path}: {count} records, the manifest says {shard.rows}")
    return problems
