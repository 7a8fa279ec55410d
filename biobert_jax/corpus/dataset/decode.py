"""Records back to rows without TensorFlow: for the export, the report and the tests.

The inverse of `records.encode_rows`; TensorFlow's parser in `records.parse_rows` says the same.
"""

from collections.abc import Sequence

import numpy as np

from biobert_jax.corpus.dataset.records import RecordFormat, encode_rows


def decode_rows(records: Sequence[bytes], format: RecordFormat) -> np.ndarray:
    """The rows of serialised Examples, a structured array [n] of `format.row_dtype`.

    Raises:
      ValueError: a record that is not of this format.
    """
    if not records:
        return np.empty(0, format.row_dtype)
    if format.record_format == "packed":
        return _decode_packed(records, format)
    contents: dict[str, list[bytes]] = {name: [] for name in format.features}
    for number, record in enumerate(records):
        try:
            values = decode_example(record)
            for name, content in contents.items():
                content.append(values[name][1])
        except (IndexError, KeyError, ValueError) as error:
            raise ValueError(f"record {number} is damaged or of another format") from error
    rows = np.empty(len(records), format.row_dtype)
    for name, feature in format.features.items():
        decode = _floats if feature.dtype.kind == "f" else _varints
        try:
            rows[name] = decode(contents[name], feature.size)
        except ValueError as error:
            raise ValueError(f"a record has no {name} of {feature.size} numbers") from error
    return rows


def _decode_packed(records: Sequence[bytes], format: RecordFormat) -> np.ndarray:
    """All records have the same bytes but for the payloads, whose places a record of ones tells."""
    rows = np.zeros(2, format.row_dtype)
    rows.view(np.uint8)[rows.itemsize :] = 0xFF
    zeros, ones = (np.frombuffer(record, np.uint8) for record in encode_rows(rows, format))
    is_payload = zeros != ones
    if any(len(record) != len(zeros) for record in records):
        raise ValueError(f"a record is not of the {len(zeros)} bytes that this format has")
    table = np.frombuffer(b"".join(records), np.uint8).reshape(len(records), len(zeros))
    if not (table[:, ~is_payload] == zeros[~is_payload]).all():
        raise ValueError("a record holds other features than this format has")
    # encode_example writes the features by their names' order, a row has them in its own.
    payloads = np.ascontiguousarray(table[:, is_payload])
    by_name = {name: format.row_dtype.fields[name][0] for name in sorted(format.features)}
    return payloads.view(np.dtype(list(by_name.items())))[:, 0][list(format.features)].astype(
        format.row_dtype
    )


def decode_example(record: bytes) -> dict[str, tuple[int, bytes]]:
    """A `tf.train.Example` as (field number of the list, the list's values) by feature.

    The values are those of one bytes value, or little-endian float32, or varints one after the
    other, whether the list is packed or not.
    Source: tensorflow/core/example/{example,feature}.proto.

    Raises:
      IndexError, KeyError, ValueError: not an Example.
    """
    values: dict[str, tuple[int, bytes]] = {}
    for _, features in _fields(record):
        for _, entry in _fields(features):
            parts = dict(_fields(entry))
            # A list that holds nothing may be absent.
            kind, content = (_fields(parts[2]) or [(0, b"")])[0]
            fields = _fields(content)
            whole = fields[0][1] if len(fields) == 1 else b"".join(value for _, value in fields)
            values[parts[1].decode()] = kind, whole
    return values


# Bytes of the values of the other wire types: 64 and 32 bits.
_FIXED = {1: 8, 5: 4}


def _fields(message: bytes) -> list[tuple[int, bytes]]:
    """The fields of a message: numbers and contents, a varint's as its bytes."""
    fields = []
    place, end = 0, len(message)
    while place < end:
        tag = message[place]
        start = place = place + 1
        if tag & 7 == 2:
            size = shift = 0
            while (byte := message[start]) & 0x80:
                size |= (byte & 0x7F) << shift
                shift += 7
                start += 1
            start += 1
            place = start + (size | byte << shift)
        elif tag & 7 == 0:
            while message[place] & 0x80:
                place += 1
            place += 1
        else:
            place += _FIXED[tag & 7]
        if place > end:
            raise IndexError("ends within a field")
        fields.append((tag >> 3, message[start:place]))
    return fields


def _floats(contents: list[bytes], size: int) -> np.ndarray:
    """float32 [n, size] of n lists."""
    if any(len(content) != 4 * size for content in contents):
        raise ValueError("another number of values")
    return np.frombuffer(b"".join(contents), "<f4").reshape(-1, size)


def _varints(contents: list[bytes], size: int) -> np.ndarray:
    """int64 [n, size] of n lists of varints: 7 bits a byte, the lowest first, 8th bit: goes on."""
    values = np.frombuffer(b"".join(contents), np.uint8)
    ends = np.flatnonzero(values < 0x80) + 1
    # Every list must end where its last number does.
    if len(ends) != size * len(contents) or not np.array_equal(
        ends[size - 1 :: size], np.cumsum([len(content) for content in contents])
    ):
        raise ValueError("another number of values")
    starts = np.concatenate([[0], ends[:-1]])
    shifts = 7 * (np.arange(len(values)) - np.repeat(starts, ends - starts))
    parts = (values & 0x7F).astype(np.uint64) << shifts.astype(np.uint64)
    return np.add.reduceat(parts, starts).view(np.int64).reshape(-1, size)
