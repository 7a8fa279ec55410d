"""A prepared data set as plain arrays, for machines and programs without TensorFlow.

The folder holds `arrays.json`, the vocabulary, and parts `train-00000-of-00003.npz`, each with the
arrays [rows, size] of consecutive rows by feature name:

    with np.load("arrays/train-00000-of-00003.npz") as part:
        input_ids = part["input_ids"]

Parts are not compressed and of bounded size: neither side ever holds more than one, whatever the
data set. The rows are in the shards' order, which is a random one. `data.arrays` trains on them.
"""

import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from biobert_jax import json_fields
from biobert_jax.corpus.dataset.decode import decode_rows
from biobert_jax.corpus.dataset.manifest import (
    SPLITS,
    Manifest,
    Shard,
    check_records,
    check_shards,
    find_strangers,
    read_manifest,
    read_shards,
)
from biobert_jax.corpus.dataset.records import RecordFormat
from biobert_jax.corpus.dataset.tfrecord import read_tfrecords
from biobert_jax.disk import check_space, free_bytes
from biobert_jax.errors import UserError
from biobert_jax.files import file_sha256, new_folder, write_text_atomically

NAME = "arrays.json"
FORMAT_VERSION = 1
PART_BYTES = 128 << 20
# Records decoded at a time.
_BATCH = 1024


def export_arrays(
    directory: str | os.PathLike,
    output: str | os.PathLike,
    *,
    splits: Iterable[str] = SPLITS,
    max_rows: int | None = None,
    part_bytes: int = PART_BYTES,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> dict[str, Any]:
    """Writes a data set's rows as arrays into a new folder, which appears when it is whole.

    Args:
      directory: a folder of `biobert prepare`.
      splits: those to export; one without rows is left out.
      max_rows: rows of each split, the first ones; None: all.
      part_bytes: size of a part's arrays.
      progress: told the stage, the rows written and their total.

    Returns:
      What `arrays.json` holds:
        version: of this form.
        record_format, objective, max_seq_length, max_predictions: as in the manifest.
        features: by name, `dtype` (numpy's, with its byte order) and `shape` of a row's array.
        tokenizer: as in the manifest: file, kind, SHA-256, size and special ids.
        fingerprint: of the data set that this was made of.
        splits: rows by split.
        parts: `name`, `split`, `rows`, `bytes` and `sha256` of every file, in order.

    Raises:
      UserError: no data set there, or a damaged one; the output exists; nothing to export; too
        little disk.
    """
    directory, output = Path(directory), Path(output)
    manifest = read_manifest(directory)
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UserError(f"--output {output} exists: choose another folder, or remove it")
    problems = check_shards(directory, manifest, hashes=False)
    if problems:
        raise UserError(f"{problems[0]}: prepare the data set anew")
    rows = {name: _num_rows(manifest, name, max_rows) for name in splits}
    if not any(rows.values()):
        raise UserError(f"{directory}: no rows to export in the split {' or '.join(rows)}")

    vocab_size = (directory / manifest.tokenizer["file"]).stat().st_size
    needed = sum(rows.values()) * manifest.format.row_dtype.itemsize + vocab_size
    check_space(needed, free_bytes(output), f"--output {output}")
    with new_folder(output) as temporary:
        vocab = manifest.tokenizer["file"]
        shutil.copyfile(directory / vocab, temporary / vocab)
        rows_each = max(1, part_bytes // manifest.format.row_dtype.itemsize)
        parts = []
        for split, count in rows.items():
            num_parts = -(-count // rows_each)
            for number, part in enumerate(_parts(directory, manifest, split, count, rows_each)):
                name = f"{split}-{number:05d}-of-{num_parts:05d}.npz"
                parts.append(_write_part(temporary / name, split, part))
                progress("write", sum(p["rows"] for p in parts), sum(rows.values()))
        index = _index(manifest, {s: n for s, n in rows.items() if n}, parts)
        write_text_atomically(temporary / NAME, json.dumps(index, indent=2) + "\n")
    return index


def read_rows(directory: Path, manifest: Manifest, split: str) -> Iterator[np.ndarray]:
    """The rows of a split in order, some at a time: structured arrays of the format's `row_dtype`.

    Every record's checksum is compared.

    Raises:
      UserError: a damaged shard.
    """
    for shard in manifest.split(split):
        records = read_tfrecords(directory / shard.name)
        count = 0
        while batch := list(islice(records, _BATCH)):
            try:
                yield decode_rows(batch, manifest.format)
            except ValueError as error:
                raise UserError(f"{directory / shard.name}: {error}") from error
            count += len(batch)
        if count != shard.rows:
            raise UserError(
                f"{directory / shard.name}: {count} records, the manifest says {shard.rows}: "
                "prepare the data set anew"
            )


def _num_rows(manifest: Manifest, split: str, max_rows: int | None) -> int:
    rows = sum(shard.rows for shard in manifest.split(split))
    return rows if max_rows is None else min(rows, max_rows)


def _parts(
    directory: Path, manifest: Manifest, split: str, count: int, rows_each: int
) -> Iterator[np.ndarray]:
    """The first `count` rows of a split, `rows_each` at a time; the array is used again."""
    batches = read_rows(directory, manifest, split)
    buffer = np.empty(min(count, rows_each), manifest.format.row_dtype)
    rest = buffer[:0]
    while count:
        part = buffer[: min(count, rows_each)]
        filled = 0
        while filled < len(part):
            if not len(rest):
                rest = next(batches)
            size = min(len(rest), len(part) - filled)
            part[filled : filled + size] = rest[:size]
            filled, rest = filled + size, rest[size:]
        yield part
        count -= len(part)


def _write_part(path: Path, split: str, rows: np.ndarray) -> dict[str, Any]:
    """Writes a part and returns its entry in the index."""
    with open(path, "wb") as out:
        np.savez(out, **{name: rows[name] for name in rows.dtype.names})
    return {
        "name": path.name,
        "split": split,
        "rows": len(rows),
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
    }


def _index(
    manifest: Manifest, rows: dict[str, int], parts: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "version": FORMAT_VERSION,
        "record_format": manifest.record_format,
        "objective": manifest.objective,
        "max_seq_length": manifest.max_seq_length,
        "max_predictions": manifest.max_predictions,
        "features": _features(manifest.format),
        "tokenizer": manifest.tokenizer,
        "fingerprint": manifest.fingerprint,
        "splits": rows,
        "parts": list(parts),
    }


def _features(format: RecordFormat) -> dict[str, Any]:
    return {
        name: {"dtype": feature.dtype.str, "shape": [feature.size]}
        for name, feature in format.features.items()
    }


@dataclass(frozen=True)
class ArraysIndex:
    """What `arrays.json` says of a folder: the rows' format, their tokenizer, and the parts."""

    format: RecordFormat
    tokenizer: dict[str, Any]
    shards: tuple[Shard, ...]

    @property
    def num_rows(self) -> int:
        return sum(part.rows for part in self.shards)

    def split(self, name: str) -> tuple[Shard, ...]:
        """The parts of "train" or "heldout", in order."""
        return tuple(part for part in self.shards if part.split == name)


def read_index(directory: str | os.PathLike) -> ArraysIndex:
    """Reads `arrays.json`.

    Raises:
      UserError: no such file; one of another version; one that is not of `biobert export`, or that
        contradicts itself.
    """
    path = Path(directory) / NAME
    remedy = "export the data set anew"
    try:
        values = json_fields.read_object(path)
        if values.get("version") != FORMAT_VERSION:
            raise UserError(
                f"{path}: version {values.get('version')!r}, this program reads {FORMAT_VERSION}: "
                f"{remedy}"
            )
        check_records(values)
        json_fields.check_fields(
            values, {"splits": json_fields.COUNTS, "features": json_fields.OBJECT}
        )
        index = ArraysIndex(
            RecordFormat(
                values["record_format"],
                values["objective"],
                values["max_seq_length"],
                values["tokenizer"]["vocab_size"],
                values["max_predictions"],
            ),
            values["tokenizer"],
            read_shards(values, "parts"),
        )
        splits = {s: n for s in SPLITS if (n := sum(part.rows for part in index.split(s)))}
        if values["splits"] != splits:
            raise UserError(
                f"{path}: its parts have rows {splits}, not {values['splits']}: {remedy}"
            )
        if values["features"] != _features(index.format):
            raise UserError(f"{path}: its features are not those of its record_format: {remedy}")
    except FileNotFoundError as error:
        raise UserError(
            f"{directory}: no arrays here ({NAME} is missing): give a folder of `biobert export`"
        ) from error
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: not an index of `biobert export` ({error})") from error
    return index


def check_parts(
    directory: Path, index: ArraysIndex, *, read: Callable[[int], None] = lambda size: None
) -> list[str]:
    """What differs between the index and the files, one line each; empty where all is well.

    `read` is told the bytes of each part that was read.
    """
    problems = check_shards(directory, index, read=read) + find_strangers(directory, index.shards)
    if problems:
        return problems
    for part in index.shards:
        try:
            array_offsets(directory / part.name, index.format, part.rows)
        except UserError as error:
            problems.append(str(error))
    return problems


def array_offsets(path: Path, format: RecordFormat, rows: int) -> dict[str, int]:
    """Where in a part each feature's array [rows, size] starts, in bytes.

    Members of an .npz that are not compressed stand in it as they are: the zip's local header
    (APPNOTE.TXT 4.3.7), the header of a .npy, and the numbers, row by row.

    Raises:
      UserError: a part that is damaged or compressed; other arrays than the format's.
    """
    offsets = {}
    try:
        with zipfile.ZipFile(path) as archive, open(path, "rb") as stream:
            size = path.stat().st_size
            for name, feature in format.features.items():
                member = archive.getinfo(f"{name}.npy")
                if member.compress_type != zipfile.ZIP_STORED:
                    raise UserError(f"{path}: {name} is compressed: export the data set anew")
                stream.seek(member.header_offset)
                name_size, extra_size = struct.unpack("<26xHH", stream.read(30))
                stream.seek(name_size + extra_size, os.SEEK_CUR)
                version = np.lib.format.read_magic(stream)
                if version != (1, 0):
                    raise ValueError(f"{name} has an .npy header of version {version}")
                shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
                if (shape, is_fortran, dtype) != ((rows, feature.size), False, feature.dtype):
                    raise UserError(
                        f"{path}: {name} is {dtype} {list(shape)}, {NAME} says {feature.dtype} "
                        f"{[rows, feature.size]}: export the data set anew"
                    )
                offsets[name] = stream.tell()
                if offsets[name] + rows * feature.size * dtype.itemsize > size:
                    raise ValueError(f"{name} ends beyond the file's end")
    except (OSError, ValueError, KeyError, struct.error, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: damaged ({error}): export the data set anew") from error
    return offsets
