"""Records and TFRecord files are TensorFlow's, byte for byte, and damage is found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.corpus.dataset.records import RecordFormat, encode_rows, parse_rows
from biobert_jax.corpus.dataset.tfrecord import encode_example, read_tfrecords, write_tfrecords
from biobert_jax.errors import UserError

FORMATS = [
    RecordFormat("packed", "mlm", 64, 30_000),
    RecordFormat("packed", "mlm", 64, 70_000),
    RecordFormat("packed", "mlm_nsp", 8, 30_000),
    RecordFormat("packed", "mlm_nsp", 512, 30_000),
    RecordFormat("bert", "mlm_nsp", 128, 70_000, 20),
]


def random_rows(format, count=20):
    random = np.random.default_rng(0)
    rows = np.zeros(count, format.row_dtype)
    for name, feature in format.features.items():
        if feature.dtype.kind == "f":
            rows[name] = random.random((count, feature.size))
        else:
            top = 100 if feature.dtype.itemsize == 1 else format.vocab_size
            rows[name] = random.integers(0, min(top, 65_536), (count, feature.size))
    return rows


def tensorflow_record(row, format):
    import tensorflow as tf

    features = {}
    for name in format.features:
        if format.record_format == "packed":
            kind = {"bytes_list": tf.train.BytesList(value=[row[name].tobytes()])}
        elif row[name].dtype.kind == "f":
            kind = {"float_list": tf.train.FloatList(value=row[name])}
        else:
            kind = {"int64_list": tf.train.Int64List(value=row[name])}
        features[name] = tf.train.Feature(**kind)
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)


@pytest.mark.parametrize("format", FORMATS, ids=lambda f: f"{f.record_format}-{f.max_seq_length}")
def test_records_are_tensorflows_and_are_parsed_back(format, tmp_path):
    import tensorflow as tf

    rows = random_rows(format)
    records = list(encode_rows(rows, format))
    assert records == [tensorflow_record(row, format) for row in rows]
    parsed = parse_rows(tf.constant(records), format)
    for name in format.features:
        np.testing.assert_array_equal(parsed[name].numpy(), rows[name])

    write_tfrecords(tmp_path / "ours", records)
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for record in records:
            writer.write(record)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert list(read_tfrecords(tmp_path / "ours")) == records


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=5), st.lists(st.integers(0, 2**32 - 1), max_size=9)))
def test_integers_of_every_size(features):
    import tensorflow as tf

    lists = {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        for name, values in features.items()
    }
    parsed = tf.train.Example.FromString(
        encode_example({name: np.array(values, np.int64) for name, values in features.items()})
    )
    assert parsed == tf.train.Example(features=tf.train.Features(feature=lists))


def test_every_flipped_byte_and_every_cut_is_found(tmp_path):
    path = tmp_path / "shard"
    write_tfrecords(path, [b"first record", b"second", b""])
    intact = path.read_bytes()
    for place in range(len(intact)):
        for damaged in (
            intact[:place] + bytes([intact[place] ^ 4]) + intact[place + 1 :],
            intact[:place],
        ):
            path.write_bytes(damaged)
            if damaged == intact[: len(damaged)] and place in (0, 28, 50):
                continue  # cut between records, which only their number can tell
            with pytest.raises(UserError, match="shard: (ends within )?record"):
                list(read_tfrecords(path))
