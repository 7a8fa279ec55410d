"""The manifest of a prepared data set: what it holds, how it was made, and every shard's hash."""

import dataclasses
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from biobert_jax import json_fields, storage
from biobert_jax.corpus.dataset.records import RecordFormat
from biobert_jax.corpus.dataset.tfrecord import read_tfrecords
from biobert_jax.corpus.formats import OBJECTIVES, RECORD_FORMATS
from biobert_jax.corpus.text.tokenizer_files import TokenizerOptions
from biobert_jax.errors import UserError
from biobert_jax.files import file_sha256
from biobert_jax.json_fields import check_fields

NAME = "manifest.json"
# Beside it: the input files' sizes and times, which `prepare` compares.
INPUTS = "inputs.json"
FORMAT_VERSION = 2
SPLITS = ("train", "heldout")
# A file of such a name is taken for data by whoever looks into the folder.
DATA_SUFFIXES = (".tfrecord", ".tfrecords", ".npz")

_SHARD = {
    "name": json_fields.FILE_NAME,
    "split": json_fields.one_of(*SPLITS),
    "rows": json_fields.COUNT,
    "bytes": json_fields.COUNT,
    "sha256": json_fields.SHA256,
}
_RECORDS = {
    "record_format": json_fields.one_of(*RECORD_FORMATS),
    "objective": json_fields.one_of(*OBJECTIVES),
    "max_seq_length": json_fields.integer(1, 65536),
    "max_predictions": json_fields.integer(0, 65536),
}
_TOKENIZER = {
    "file": json_fields.FILE_NAME,
    "kind": json_fields.one_of("wordpiece", "sentencepiece"),
    "cased": json_fields.FLAG,
    "vocab_size": json_fields.integer(1, 2**31),
    "sha256": json_fields.SHA256,
    "special": json_fields.OBJECT,
}
_MANIFEST = {
    "num_documents": json_fields.COUNT,
    "num_sequences": json_fields.COUNT,
    "num_tokens": json_fields.COUNT,
    "num_rows": json_fields.COUNT,
    "fill": json_fields.SHARE,
    "dropped": json_fields.COUNTS,
    "statistics": json_fields.OBJECT,
    "arguments": json_fields.OBJECT,
    "fingerprint": json_fields.TEXT,
    "failed": json_fields.TEXTS,
}


@dataclass(frozen=True)
class Shard:
    """One TFRecord file: its rows, its size in bytes and its SHA-256 in hexadecimal."""

    name: str
    split: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A data set.

    `num_tokens` counts the pieces of the documents' text, [CLS] and [SEP] not among them. A
    document cut in two makes two sequences; a sentence pair is one. `fill` is the share of all
    positions that are not padding. `record_format`, `objective` and `max_predictions`: see
    `records.RecordFormat`.

    `dropped` counts the documents left out, by reason ("empty", "duplicate", …). `statistics`
    holds further counts, and histograms as `statistics.Histogram` has them. `tokenizer` holds
    `file` (beside the manifest), `kind`, `cased`, what `TokenizerOptions` has, `vocab_size`,
    `sha256` and the ids of the special tokens; `arguments` what `prepare` was called with,
    `fingerprint` a hash of these and of the files; `failed` the input files, or members of
    archives, left out, with the reason.
    `files` are the SHA-256 of what describes the set (corpus.json and so on), by name.
    """

    num_documents: int
    num_sequences: int
    num_tokens: int
    num_rows: int
    fill: float
    record_format: str
    objective: str
    max_seq_length: int
    max_predictions: int
    dropped: dict[str, int]
    statistics: dict[str, Any]
    tokenizer: dict[str, Any]
    arguments: dict[str, Any]
    fingerprint: str
    failed: dict[str, str]
    shards: tuple[Shard, ...]
    files: dict[str, str] = field(default_factory=dict)
    version: int = FORMAT_VERSION

    @property
    def format(self) -> RecordFormat:
        """What the records hold."""
        return RecordFormat(
            self.record_format,
            self.objective,
            self.max_seq_length,
            self.tokenizer["vocab_size"],
            self.max_predictions,
        )

    def to_json(self) -> str:
        """The manifest as its file holds it."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    def split(self, name: str) -> tuple[Shard, ...]:
        """The shards of "train" or "heldout", in order."""
        return tuple(shard for shard in self.shards if shard.split == name)


def read_manifest(directory: str | os.PathLike) -> Manifest:
    """Reads a data set's manifest.

    Raises:
      UserError: no folder or no manifest there (an unfinished run says so); another version;
        a file that is not a manifest.
    """
    directory = storage.etils_path(directory)
    path = directory / NAME
    if not path.is_file():
        unfinished = (directory / ".work").is_dir()
        hint = (
            "its preparation was not finished: run the same `biobert prepare` again"
            if unfinished
            else "give a folder that `biobert prepare` wrote"
        )
        raise UserError(f"{directory}: no prepared data set here ({NAME} is missing): {hint}")
    try:
        values = json_fields.read_object(path)
        if values.get("version") != FORMAT_VERSION:
            raise UserError(
                f"{path}: version {values.get('version')!r}, this program reads {FORMAT_VERSION}: "
                "prepare the data set anew"
            )
        check_fields(values, _MANIFEST)
        check_fields(values, {"files": json_fields.HASHES} if "files" in values else {})
        check_records(values)
        return Manifest(**{**values, "shards": read_shards(values, "shards")})
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: not a manifest of `biobert prepare` ({error})") from error


def check_records(values: dict[str, Any]) -> None:
    """Checks the fields that say what rows hold, and the tokenizer's.

    Raises:
      ValueError: one that is missing or out of range.
    """
    check_fields(values, {**_RECORDS, "tokenizer": json_fields.OBJECT})
    tokenizer = values["tokenizer"]
    check_fields(tokenizer, _TOKENIZER, "tokenizer")
    if "do_lower_case" in tokenizer:  # sets made since a vocabulary's flags are kept
        TokenizerOptions.from_dict(tokenizer)
    token_id = json_fields.integer(0, tokenizer["vocab_size"] - 1)
    check_fields(
        tokenizer["special"],
        dict.fromkeys(("pad", "unk", "cls", "sep", "mask"), token_id),
        "tokenizer.special",
    )


def read_shards(values: dict[str, Any], key: str) -> tuple[Shard, ...]:
    """The list of shards, or of parts of arrays, under a key.

    Raises:
      ValueError: an entry that is none; a name that stands twice, or that is no plain file name.
    """
    check_fields(values, {key: json_fields.LIST})
    for number, entry in enumerate(values[key]):
        check_fields(entry, _SHARD, f"{key}[{number}]")
    shards = tuple(Shard(**entry) for entry in values[key])
    if len({shard.name for shard in shards}) < len(shards):
        raise ValueError(f"{key} has a name twice")
    return shards


def check_shards(
    directory: Path,
    manifest: Manifest,
    *,
    hashes: bool = True,
    read: Callable[[int], None] = lambda size: None,
) -> list[str]:
    """What differs between the manifest and the files, one line each; empty where all is well.

    `hashes` False compares sizes only, which takes no reading. `read` is told the bytes of each
    shard that was read.
    """
    problems = []
    rows = sum(shard.rows for shard in manifest.shards)
    if rows != manifest.num_rows:
        problems.append(f"{directory / NAME}: {manifest.num_rows} rows, its shards have {rows}")
    for shard in manifest.shards:
        path = directory / shard.name
        if not path.is_file():
            problems.append(f"{path}: missing")
        elif path.stat().st_size != shard.bytes:
            problems.append(f"{path}: {path.stat().st_size} bytes, the manifest says {shard.bytes}")
        elif hashes:
            if file_sha256(path) != shard.sha256:
                problems.append(f"{path}: its SHA-256 differs from the manifest's")
            read(shard.bytes)
    vocab = {manifest.tokenizer["file"]: manifest.tokenizer["sha256"]}
    return problems + check_hashes(directory, vocab)


def check_hashes(directory: Path, hashes: dict[str, str]) -> list[str]:
    """Files that are missing or whose SHA-256 is not the given one, one line each."""
    problems = []
    for name, sha256 in hashes.items():
        path = directory / name
        if not path.is_file():
            problems.append(f"{path}: missing")
        elif file_sha256(path) != sha256:
            problems.append(f"{path}: its SHA-256 differs from the manifest's")
    return problems


def find_strangers(directory: Path, shards: Iterable[Shard]) -> list[str]:
    """Files that look like data and are none of the set's, one line each.

    Who reads a folder by a pattern would take them for rows of it.
    """
    known = {shard.name for shard in shards}
    return [
        f"{path}: not in the manifest: move it elsewhere"
        for path in sorted(directory.iterdir())
        if path.suffix in DATA_SUFFIXES and path.name not in known
    ]


def count_records(
    directory: Path, manifest: Manifest, *, read: Callable[[int], None] = lambda size: None
) -> list[str]:
    """Shards whose number of readable records is not the manifest's, one line each.

    `read` is told the bytes of each shard that was read.
    """
    problems = []
    for shard in manifest.shards:
        try:
            count = sum(1 for _ in read_tfrecords(directory / shard.name))
        except UserError as error:
            problems.append(str(error))
            continue
        if count != shard.rows:
            problems.append(
                f"{directory / shard.name}: {count} records, the manifest says {shard.rows}"
            )
        read(shard.bytes)
    return problems
