"""Records of google's `create_pretraining_data.py`, read as they are.

They come without a manifest. What one would say is found out at the start: rows by the framing,
shapes by the first record, and whether the vocabulary is theirs by the first records of each file.
"""

import glob
import hashlib
import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from biobert_jax.corpus.dataset.records import RecordFormat, parse_rows
from biobert_jax.corpus.dataset.tfrecord import read_tfrecords
from biobert_jax.corpus.text.tokenization import Tokenizer, load_tokenizer
from biobert_jax.data.source import Block
from biobert_jax.data.tfrecords import RecordData, require_tensorflow
from biobert_jax.errors import UserError
from biobert_jax.files import file_sha256
from biobert_jax.units import plural

# Records of each file that are looked at before training.
NUM_CHECKED = 64
# A record's length and its checksum, and the checksum that follows the data.
_HEADER, _FOOTER = 12, 4
# The features of google's records, whatever their sizes, and the lists that hold them.
_KINDS = {
    name: "float_list" if feature.dtype.kind == "f" else "int64_list"
    for name, feature in RecordFormat("bert", "mlm_nsp", 1, 1, 1).features.items()
}


class BertFiles(RecordData):
    """TFRecords of `create_pretraining_data.py`: one masked pair a row."""

    def __init__(
        self,
        train: Sequence[str],
        heldout: Sequence[str] = (),
        *,
        vocab: str | os.PathLike,
    ):
        """Opens files.

        Args:
          train, heldout: globs; the order of the files is that of their names.
          vocab: the vocabulary that the records were made with.

        Raises:
          UserError: a glob that matches nothing; a file that is damaged, compressed, of other
            records or of another shape than the first; records of another vocabulary.
        """
        require_tensorflow()
        tokenizer = load_tokenizer(vocab)
        train_paths = _expand("data.files", train)
        heldout_paths = _expand("data.heldout_files", heldout)
        both = sorted(set(train_paths) & set(heldout_paths))
        if both:
            raise UserError(f"{both[0]}: in data.files and in data.heldout_files: take it from one")

        digest = hashlib.sha256()
        files = {}
        for path in (*train_paths, *heldout_paths):
            rows, content = _scan(path)
            digest.update(content)
            if rows:
                files[path] = Block(path, rows)
        if not files:
            raise UserError(f"data.files {','.join(train)}: the files hold no records")
        format = _check_files(files, tokenizer)
        train_files = [files[path] for path in train_paths if path in files]
        num_rows = sum(file.rows for file in train_files)
        super().__init__(
            name=",".join(train),
            format=format,
            train=train_files,
            heldout=[files[path] for path in heldout_paths if path in files],
            summary=f"{plural(num_rows, 'row')} of {format.max_seq_length} with up to "
            f"{format.max_predictions} predictions in {plural(len(train_files), 'file')}",
            vocab_path=tokenizer.path,
            vocab_sha256=file_sha256(tokenizer.path),
            special=tokenizer.special,
            sha256=digest.hexdigest(),
        )

    def fault(self, message: str) -> UserError:
        """Reads all files again in order to name the record."""
        try:
            for file in (*self.train, *self.heldout):
                for number, record in enumerate(read_tfrecords(file.path)):
                    _check_shape(file.path, number, record, self.format, self.train[0].path)
        except UserError as error:
            return error
        return super().fault(message)


def _expand(key: str, patterns: Sequence[str]) -> list[Path]:
    """The files that globs match, each once, in the order of their paths."""
    paths = set()
    for pattern in patterns:
        matches = [Path(p) for p in glob.glob(pattern, recursive=True) if os.path.isfile(p)]
        if not matches:
            raise UserError(f"{key}: no file matches {pattern}")
        paths.update(matches)
    return sorted(paths)


def _scan(path: Path) -> tuple[int, bytes]:
    """Counts the rows of a TFRecord file without reading them.

    Returns:
      The rows, and a hash of lengths and checksums, which stand for the contents.
    """
    digest = hashlib.sha256()
    size = path.stat().st_size
    rows = position = 0
    with open(path, "rb", buffering=1 << 16) as stream:
        while header := stream.read(_HEADER):
            length = int.from_bytes(header[:8], "little")
            position += _HEADER + length + _FOOTER
            if position > size or len(header) < _HEADER:
                _first_records(path, 1)  # says better what is wrong if it is not a TFRecord file
                raise UserError(f"{path}: ends within record {rows}: it was not copied whole")
            stream.seek(length, os.SEEK_CUR)
            digest.update(header + stream.read(_FOOTER))
            rows += 1
    return rows, digest.digest()


def _first_records(path: Path, count: int) -> list[bytes]:
    try:
        return list(itertools.islice(read_tfrecords(path), count))
    except UserError as error:
        with open(path, "rb") as stream:
            if stream.read(2) == b"\x1f\x8b":
                raise UserError(
                    f"{path}: it is compressed, and a run that goes on must seek in it: gunzip it"
                ) from error
        raise UserError(
            f"{error}: data.files takes whole TFRecord files of create_pretraining_data.py"
        ) from error


def _check_files(files: Iterable[Path], tokenizer: Tokenizer) -> RecordFormat:
    """The format of the first file's first record, which those of all files must have."""
    format, origin = None, None
    for path in files:
        records = _first_records(path, NUM_CHECKED)
        if format is None:
            format, origin = _find_format(path, records[0], tokenizer.vocab_size), path
        for number, record in enumerate(records):
            _check_shape(path, number, record, format, origin)
        _check_vocabulary(path, parse_rows(records, format), tokenizer)
    return format


def _find_format(path: Path, record: bytes, vocab_size: int) -> RecordFormat:
    sizes = _sizes(path, 0, record)
    return RecordFormat(
        "bert", "mlm_nsp", sizes["input_ids"], vocab_size, sizes["masked_lm_positions"]
    )


def _check_shape(
    path: Path, number: int, record: bytes, format: RecordFormat, origin: Path
) -> None:
    """Refuses a record that is not of `format`, which the first record of `origin` has."""
    for name, size in _sizes(path, number, record).items():
        expected = format.features[name].size
        if size != expected:
            raise UserError(
                f"{path}: record {number} has {size} {name} where the first of {origin} has "
                f"{expected}: give files of one max_seq_length and max_predictions_per_seq"
            )


def _sizes(path: Path, number: int, record: bytes) -> dict[str, int]:
    """How many numbers a record has of each feature that google's records have."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError:
        features = {}
    sizes = {
        name: len(getattr(features[name], kind).value)
        for name, kind in _KINDS.items()
        if name in features and features[name].HasField(kind)
    }
    missing = [name for name in _KINDS if name not in sizes]
    if missing:
        raise UserError(
            f"{path}: record {number} is not of create_pretraining_data.py: it lacks "
            f"{', '.join(missing)} (a folder of `biobert prepare` is given with data.dir)"
        )
    return sizes


def _check_vocabulary(path: Path, rows: dict, tokenizer: Tokenizer) -> None:
    """Refuses rows (of tensors) that show that they were made with another vocabulary."""
    remedy = f"give the vocabulary they were made with as data.vocab, not {tokenizer.path}"
    largest = max(rows[name].numpy().max(initial=0) for name in ("input_ids", "masked_lm_ids"))
    if largest >= tokenizer.vocab_size:
        raise UserError(
            f"{path}: its records have the id {largest}, beyond {tokenizer.vocab_size} tokens: "
            f"{remedy}"
        )
    # [CLS] is never masked.
    starts = set(rows["input_ids"].numpy()[:, 0].tolist()) - {tokenizer.special.cls}
    if starts:
        raise UserError(
            f"{path}: its records start with the id {min(starts)}, but [CLS] is "
            f"{tokenizer.special.cls}: {remedy}"
        )
