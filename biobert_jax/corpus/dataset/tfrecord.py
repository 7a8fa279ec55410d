"""`tf.train.Example` messages and TFRecord files, written and checked without TensorFlow.

TensorFlow takes 5 seconds and 400 MB to import, in every worker. Both formats are small and
frozen: tensorflow/core/example/{example,feature}.proto and tensorflow/core/lib/io/record_writer.h.
The bytes are those of `SerializeToString(deterministic=True)` and `TFRecordWriter`.
"""

import os
import struct
from collections.abc import Iterable, Iterator, Mapping

import google_crc32c
import numpy as np

from biobert_jax.errors import UserError
from biobert_jax.files import replacing

# Field numbers of Feature.kind. Every field that occurs is length-delimited: tag, size, bytes.
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3


def encode_example(features: Mapping[str, bytes | np.ndarray]) -> bytes:
    """The serialised Example: bytes, float32 arrays, or arrays of integers from 0 to below 2^32."""
    entries = b"".join(encode_entry(name, features[name]) for name in sorted(features))
    return _field(1, entries)


def encode_entry(name: str, value: bytes | np.ndarray) -> bytes:
    """One entry of the map Features.feature."""
    if isinstance(value, bytes):
        feature = _field(_BYTES_LIST, _field(1, value))
    elif value.dtype.kind == "f":
        feature = _field(_FLOAT_LIST, _field(1, value.astype("<f4").tobytes()))
    else:
        feature = _field(_INT64_LIST, _field(1, _varints(value)))
    return _field(1, _field(1, name.encode()) + _field(2, feature))


def _field(number: int, payload: bytes) -> bytes:
    size = len(payload)
    header = bytearray([number << 3 | 2])
    while size >= 0x80:
        header.append(size & 0x7F | 0x80)
        size >>= 7
    header.append(size)
    return bytes(header) + payload


_SHIFTS = np.array([0, 7, 14, 21, 28], np.uint32)


def _varints(values: np.ndarray) -> bytes:
    """Integers as protobuf varints: 7 bits a byte, the lowest first."""
    if not values.size or values.max() < 0x80:
        return values.astype(np.uint8).tobytes()
    parts = values.astype(np.uint32)[:, None] >> _SHIFTS
    is_written = parts > 0
    is_written[:, 0] = True  # a 0 is one byte too
    is_followed = parts > 0x7F
    return ((parts & 0x7F) | (is_followed * np.uint32(0x80)))[is_written].astype(np.uint8).tobytes()


def frame(record: bytes) -> bytes:
    """A record as it stands in a TFRecord file: its length, the data, a checksum after each."""
    length = struct.pack("<Q", len(record))
    return b"".join(
        (
            length,
            struct.pack("<I", _masked_crc(length)),
            record,
            struct.pack("<I", _masked_crc(record)),
        )
    )


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def write_tfrecords(path: str | os.PathLike, records: Iterable[bytes]) -> None:
    """Writes records as an uncompressed TFRecord file, whole or not at all."""
    with replacing(path, buffering=1 << 20) as out:
        for record in records:
            out.write(frame(record))


def read_tfrecords(path: str | os.PathLike) -> Iterator[bytes]:
    """Yields the records of an uncompressed TFRecord file, each checked.

    Raises:
      UserError: the file ends within a record, or a checksum differs.
    """
    with open(path, "rb", buffering=1 << 20) as stream:
        number = 0
        size = os.fstat(stream.fileno()).st_size
        while header := stream.read(12):
            length, crc = struct.unpack("<QI", header) if len(header) == 12 else (0, -1)
            if crc != _masked_crc(header[:8]):
                raise UserError(f"{path}: record {number} is damaged at its head")
            if length > size:  # before memory is asked for
                raise UserError(f"{path}: ends within record {number}")
            record = stream.read(length)
            footer = stream.read(4)
            if len(record) < length or len(footer) < 4:
                raise UserError(f"{path}: ends within record {number}")
            if struct.unpack("<I", footer)[0] != _masked_crc(record):
                raise UserError(f"{path}: record {number} is damaged")
            yield record
            number += 1
