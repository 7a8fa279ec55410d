"""What a record of a data set holds, and rows to records and back.

Packed records hold raw little-endian arrays as bytes values: they parse several times faster than
Int64Lists, and every record of a data set has the same size. Records in google's format
(`--record_format bert`) hold the Int64Lists and FloatLists that `run_pretraining.py` reads.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from biobert_jax.corpus.dataset.tfrecord import encode_entry, encode_example
from biobert_jax.corpus.rows.pair_packing import max_pairs


class Feature(NamedTuple):
    """An array of a record: `size` numbers of a type."""

    dtype: np.dtype
    size: int


@dataclass(frozen=True)
class RecordFormat:
    """The kind of a data set's records.

    Attributes:
      record_format: "packed" (several sequences a row, masked while training) or "bert" (one
        pair a row, masked for good).
      objective: "mlm" or "mlm_nsp" (sentence pairs with labels).
      max_seq_length: L, positions a row.
      vocab_size: size of the vocabulary.
      max_predictions: P of "bert" rows; 0 in packed ones.
    """

    record_format: str
    objective: str
    max_seq_length: int
    vocab_size: int
    max_predictions: int = 0

    @property
    def features(self) -> dict[str, Feature]:
        """The arrays by name; `corpus.rows` says what they mean."""
        length, predictions = self.max_seq_length, self.max_predictions
        if self.record_format == "bert":
            return {
                "input_ids": Feature(np.dtype("<i4"), length),
                "input_mask": Feature(np.dtype("i1"), length),
                "segment_ids": Feature(np.dtype("i1"), length),
                "masked_lm_positions": Feature(np.dtype("<i4"), predictions),
                "masked_lm_ids": Feature(np.dtype("<i4"), predictions),
                "masked_lm_weights": Feature(np.dtype("<f4"), predictions),
                "next_sentence_labels": Feature(np.dtype("i1"), 1),
            }
        features = {
            "input_ids": Feature(id_dtype(self.vocab_size), length),
            "sequence_ids": Feature(np.dtype("<u2"), length),
        }
        if self.objective == "mlm_nsp":
            features["token_type_ids"] = Feature(np.dtype("u1"), length)
            features["next_sentence_labels"] = Feature(np.dtype("i1"), max_pairs(length))
        return features

    @property
    def row_dtype(self) -> np.dtype:
        """A row as one structured value, its fields the features."""
        return np.dtype([(n, f.dtype, (f.size,)) for n, f in self.features.items()])


def id_dtype(vocab_size: int) -> np.dtype:
    """The type that stores token ids."""
    return np.dtype("<u2") if vocab_size <= 65536 else np.dtype("<i4")


def encode_rows(rows: np.ndarray, format: RecordFormat) -> Iterator[bytes]:
    """Serialised Examples of rows, a structured array [n] of `format.row_dtype`."""
    names = list(format.features)
    if format.record_format == "bert":
        for row in rows:
            yield encode_example({name: row[name] for name in names})
        return
    # All records have the same size: one is made, and the others exchange the payloads in it.
    template, places = _template(format)
    for row in rows:
        for name in names:
            template[places[name]] = row[name].tobytes()
        yield bytes(template)


def _template(format: RecordFormat) -> tuple[bytearray, dict[str, slice]]:
    """A record, and where in it each feature's bytes stand."""
    zeros = {name: bytes(f.dtype.itemsize * f.size) for name, f in format.features.items()}
    record = encode_example(zeros)
    places = {}
    for name, payload in zeros.items():
        entry = encode_entry(name, payload)  # which ends with its payload
        end = record.index(entry) + len(entry)
        places[name] = slice(end - len(payload), end)
    return bytearray(record), places


def parse_rows(serialized, format: RecordFormat) -> dict:
    """A batch of serialised records (TensorFlow strings [B]) to tensors [B, size] by feature.

    Runs inside tf.data: parses the batch at once. Packed arrays keep their stored types; those of
    google's format are int32 and float32.

    Raises:
      tf.errors.InvalidArgumentError: while reading, on records of another shape.
    """
    import tensorflow as tf

    if format.record_format == "bert":
        kinds = {
            n: tf.float32 if f.dtype.kind == "f" else tf.int64 for n, f in format.features.items()
        }
        parsed = tf.io.parse_example(
            serialized,
            {n: tf.io.FixedLenFeature([f.size], kinds[n]) for n, f in format.features.items()},
        )
        # As upstream: TPUs have no int64.
        return {k: tf.cast(v, tf.int32) if v.dtype == tf.int64 else v for k, v in parsed.items()}
    string = tf.io.FixedLenFeature([], tf.string)
    parsed = tf.io.parse_example(serialized, dict.fromkeys(format.features, string))
    return {
        name: tf.ensure_shape(
            tf.io.decode_raw(parsed[name], tf.as_dtype(feature.dtype)), [None, feature.size]
        )
        for name, feature in format.features.items()
    }
