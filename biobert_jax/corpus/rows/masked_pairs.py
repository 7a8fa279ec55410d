"""Google's own record format: one pre-masked pair a record, as `run_pretraining.py` reads it.

A record is a `tf.train.Example` with seven features, zero padded (L = max_seq_length, P =
max_predictions): input_ids, input_mask, segment_ids int64 [L]; masked_lm_positions, masked_lm_ids
int64 [P]; masked_lm_weights float [P]; next_sentence_labels int64 [1]. `segment_ids` are token
types; the word has nothing to do with packing. (google-research/bert: create_pretraining_data.py
`write_instance_to_example_files` and `create_masked_lm_predictions`, run_pretraining.py
`input_fn_builder`.)
"""

from typing import NamedTuple

import numpy as np

from biobert_jax.corpus.rows.pairs import Pair, join_pair
from biobert_jax.corpus.text.tokenization import SpecialTokens
from biobert_jax.errors import UserError


class MaskedExample(NamedTuple):
    """A pair with hidden tokens. n positions, p predictions, nothing padded.

    Attributes:
      input_ids: int32 [n]: `[CLS] A [SEP] B [SEP]`, some tokens replaced.
      segment_ids: int8 [n]; 0 for `[CLS] A [SEP]`, 1 for `B [SEP]`.
      masked_lm_positions: int [p], rising.
      masked_lm_ids: int32 [p], the true ids there.
      is_random_next: the next-sentence label is 1.
    """

    input_ids: np.ndarray
    segment_ids: np.ndarray
    masked_lm_positions: np.ndarray
    masked_lm_ids: np.ndarray
    is_random_next: bool


def mask_pair(
    pair: Pair,
    rng: np.random.Generator,
    *,
    special: SpecialTokens,
    vocab_size: int,
    max_predictions: int,
    masked_lm_prob: float = 0.15,
    continuation: np.ndarray | None = None,
) -> MaskedExample:
    """Hides a share of a pair's tokens, once and for all.

    A pair of n positions gets min(max_predictions, max(1, round(masked_lm_prob * n))) predictions
    at random tokens other than [CLS] and [SEP]. Of these 80 % become [MASK], 10 % stay, and 10 %
    become a token drawn uniformly from the whole vocabulary, special tokens included.

    Args:
      pair: the pair.
      rng: numpy's, since Python's takes 0.3 ms to shuffle 500 positions.
      special: the vocabulary's special ids.
      vocab_size: size of the vocabulary.
      max_predictions: P; upstream's is 20 at 128 positions, and 77 or 80 at 512.
      masked_lm_prob: share of the positions to predict, [CLS] and [SEP] counted in.
      continuation: bool [vocab_size]; if given, whole words are hidden or nothing of them. A
        word that would exceed the number of predictions is passed over, so that there may be
        fewer. As upstream, pieces at the front of a cut B belong to A's last word.
    """
    input_ids, segment_ids = join_pair(pair, special.cls, special.sep)
    count = min(max_predictions, max(1, round(len(input_ids) * masked_lm_prob)))
    candidates = np.flatnonzero((input_ids != special.cls) & (input_ids != special.sep))
    if continuation is None:
        chosen = candidates[rng.permutation(len(candidates))[:count]]
    else:
        chosen = _choose_words(candidates, continuation[input_ids[candidates]], count, rng)
    positions = np.sort(chosen)
    labels = input_ids[positions]

    kind = rng.random(len(chosen))
    random_ids = rng.integers(0, vocab_size, len(chosen))
    input_ids[chosen] = np.where(
        kind < 0.8, special.mask, np.where(kind < 0.9, input_ids[chosen], random_ids)
    )
    return MaskedExample(input_ids, segment_ids, positions, labels, pair.is_random_next)


def _choose_words(
    candidates: np.ndarray, continues: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Positions of whole words in random order, at most `count` positions.

    Args:
      candidates: int [c], positions in order.
      continues: bool [c]; the piece there belongs to the word of the candidate before.
    """
    starts = ~continues
    starts[:1] = True
    bounds = [*np.flatnonzero(starts).tolist(), len(candidates)]
    chosen: list[int] = []
    for word in rng.permutation(len(bounds) - 1).tolist():
        if len(chosen) == count:
            break
        if len(chosen) + bounds[word + 1] - bounds[word] <= count:
            chosen.extend(range(bounds[word], bounds[word + 1]))
    return candidates[chosen]


def encode_bert_record(example: MaskedExample, max_seq_length: int, max_predictions: int) -> bytes:
    """The serialised `tf.train.Example`, features in the order of their names.

    The bytes are those of `SerializeToString(deterministic=True)`, written without TensorFlow:
    several times faster than building the message.

    Raises:
      ValueError: an example that is longer, or has more predictions, than the record holds.
    """
    length, predictions = len(example.input_ids), len(example.masked_lm_ids)
    if length > max_seq_length or predictions > max_predictions:
        raise ValueError(
            f"{length} positions and {predictions} predictions, in records of {max_seq_length} "
            f"and {max_predictions}"
        )
    tail = bytes(max_seq_length - length)  # a 0 is one byte
    prediction_tail = bytes(max_predictions - predictions)
    weights = np.zeros(max_predictions, "<f4")
    weights[:predictions] = 1.0
    entries = (
        _feature(b"input_ids", _INT64_LIST, _varints(example.input_ids) + tail),
        _feature(b"input_mask", _INT64_LIST, b"\x01" * length + tail),
        _feature(b"masked_lm_ids", _INT64_LIST, _varints(example.masked_lm_ids) + prediction_tail),
        _feature(
            b"masked_lm_positions",
            _INT64_LIST,
            _varints(example.masked_lm_positions) + prediction_tail,
        ),
        _feature(b"masked_lm_weights", _FLOAT_LIST, weights.tobytes()),
        _feature(b"next_sentence_labels", _INT64_LIST, bytes([example.is_random_next])),
        _feature(
            b"segment_ids", _INT64_LIST, example.segment_ids.astype(np.uint8).tobytes() + tail
        ),
    )
    return _field(1, b"".join(entries))


# Field numbers of tensorflow/core/example/{example,feature}.proto. Every field that occurs is
# length-delimited: its tag, its size, its bytes.
_FLOAT_LIST, _INT64_LIST = 2, 3


def _feature(name: bytes, kind: int, packed: bytes) -> bytes:
    """One entry of the map Features.feature: a name and a list of packed numbers."""
    return _field(1, _field(1, name) + _field(2, _field(kind, _field(1, packed))))


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
    """Numbers from 0 to below 2^32 as protobuf varints: 7 bits a byte, the lowest first."""
    parts = values.astype(np.uint32)[:, None] >> _SHIFTS
    is_written = parts > 0
    is_written[:, 0] = True  # a 0 is one byte too
    is_followed = parts > 0x7F
    return ((parts & 0x7F) | (is_followed * np.uint32(0x80)))[is_written].astype(np.uint8).tobytes()


def bert_record_shape(record: bytes) -> tuple[int, int]:
    """(max_seq_length, max_predictions) of a data set in Google's format, from any one record.

    Raises:
      UserError: no such record.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        feature = tf.train.Example.FromString(record).features.feature
    except DecodeError as error:
        raise UserError(
            "not a tf.train.Example: give files of create_pretraining_data.py"
        ) from error
    missing = [name for name in _specification(1, 1) if name not in feature]
    if missing:
        raise UserError(f"a record without {', '.join(missing)}: not of create_pretraining_data.py")
    return len(feature["input_ids"].int64_list.value), len(
        feature["masked_lm_ids"].int64_list.value
    )


def parse_bert_records(serialized, max_seq_length: int, max_predictions: int) -> dict:
    """A batch of serialised records (TensorFlow strings [B]) to tensors, by the features' names.

    Runs inside tf.data: parses the batch at once. `input_mask` serves as sequence ids of rows
    with one sequence each, `segment_ids` as token types, and `next_sentence_labels` [B, 1] as the
    labels of rows of at most one pair.

    Returns:
      int32 [B, L], [B, P] and [B, 1]; `masked_lm_weights` float32 [B, P].

    Raises:
      tf.errors.InvalidArgumentError: while reading, on records of another shape.
    """
    import tensorflow as tf

    features = {
        name: tf.io.FixedLenFeature([size], getattr(tf, dtype))
        for name, (size, dtype) in _specification(max_seq_length, max_predictions).items()
    }
    parsed = tf.io.parse_example(serialized, features)
    # As upstream: TPUs have no int64.
    return {k: tf.cast(v, tf.int32) if v.dtype == tf.int64 else v for k, v in parsed.items()}


def _specification(max_seq_length: int, max_predictions: int) -> dict[str, tuple[int, str]]:
    """Size and type of every feature."""
    return {
        "input_ids": (max_seq_length, "int64"),
        "input_mask": (max_seq_length, "int64"),
        "segment_ids": (max_seq_length, "int64"),
        "masked_lm_positions": (max_predictions, "int64"),
        "masked_lm_ids": (max_predictions, "int64"),
        "masked_lm_weights": (max_predictions, "float32"),
        "next_sentence_labels": (1, "int64"),
    }
