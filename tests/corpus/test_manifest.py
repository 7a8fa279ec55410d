"""Manifests and indexes that others wrote: no name leads out of the folder, no field is trusted."""

import json
import struct

import google_crc32c
import numpy as np
import pytest

from biobert_jax import cli
from biobert_jax.corpus.dataset.export import export_arrays, read_index
from biobert_jax.corpus.dataset.manifest import find_strangers, read_manifest
from biobert_jax.corpus.dataset.records import RecordFormat
from biobert_jax.corpus.dataset.tfrecord import read_tfrecords
from biobert_jax.corpus.text.tokenizer_files import TokenizerOptions
from biobert_jax.errors import UserError
from tests.data.writing import random_rows, write_shards

FORMAT = RecordFormat("packed", "mlm", 24, 300)
OUTSIDE = [
    "../notes.txt",
    "../../notes.txt",
    "/etc/hostname",
    "a/b",
    "..",
    ".",
    "",
    ".hidden",
    "x\x1b[2J",
    "x\0",
    "x\n",
    "n" * 300,
]


@pytest.fixture
def data(tmp_path):
    rows = {"train-00000-of-00001.tfrecord": random_rows(FORMAT, 5)}
    folder = write_shards(tmp_path / "data", FORMAT, rows)
    for name, value in TokenizerOptions(True, True).to_dict().items():
        change(folder / "manifest.json", ["tokenizer", name], value)
    return folder


@pytest.fixture
def arrays(data, tmp_path):
    export_arrays(data, tmp_path / "arrays")
    return tmp_path / "arrays"


def change(path, keys, value):
    values = json.loads(path.read_text())
    place = values
    for key in keys[:-1]:
        place = place[key]
    if value is None:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    path.write_text(json.dumps(values))


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("keys", [["tokenizer", "file"], ["shards", 0, "name"]])
def test_no_name_in_a_manifest_leads_out_of_its_folder(data, tmp_path, keys, name):
    (tmp_path / "notes.txt").write_text("mine")
    change(data / "manifest.json", keys, name)
    with pytest.raises(UserError, match="not the name of a file in the same folder"):
        export_arrays(data, tmp_path / "arrays")
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "arrays").exists()


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("keys", [["tokenizer", "file"], ["parts", 0, "name"]])
def test_nor_one_in_an_index_of_arrays(arrays, keys, name):
    change(arrays / "arrays.json", keys, name)
    with pytest.raises(UserError, match="not the name of a file in the same folder"):
        read_index(arrays)


WRONG = [
    (["tokenizer"], {}, "tokenizer.file is missing"),
    (["tokenizer"], "vocab.txt", "tokenizer is 'vocab.txt', not an object"),
    (["tokenizer", "vocab_size"], None, "tokenizer.vocab_size is missing"),
    (["tokenizer", "vocab_size"], 0, "not an integer from 1"),
    (["tokenizer", "cased"], "no", "not true or false"),
    (["tokenizer", "special", "mask"], 300, "tokenizer.special.mask is 300"),
    (["tokenizer", "strip_accents"], "no", "tokenizer.strip_accents is 'no', not true or false"),
    (["tokenizer", "added_tokens"], None, "tokenizer.added_tokens is no list"),
    (["tokenizer", "added_tokens"], [{"content": 5}], "added_tokens: 5 is no added token"),
    (["tokenizer", "added_tokens"], [5], "tokenizer.added_tokens is no list"),
    (["max_seq_length"], 10**12, "not an integer from 1 to 65,536"),
    (["max_seq_length"], True, "not an integer"),
    (["max_predictions"], -1, "not an integer"),
    (["record_format"], "arrow", "not one of packed, bert"),
    (["objective"], [], "not one of mlm, mlm_nsp"),
    (["version"], "2", "version '2', this program reads"),
    (["version"], None, "version None, this program reads"),
]


@pytest.mark.parametrize(
    "keys, value, message",
    [
        *WRONG,
        (["shards", 0, "rows"], "5", "not an integer from 0 on"),
        (["shards", 0, "bytes"], 1.5, "not an integer from 0 on"),
        (["shards", 0, "sha256"], "ff", "not a SHA-256"),
        (["shards", 0, "split"], "test", "not one of train, heldout"),
        (["shards", 0], 7, r"shards\[0\] is 7, not an object"),
        (["shards"], {}, "shards is {}, not a list"),
        (["num_rows"], 2**64, "not an integer from 0 on"),
        (["fill"], 2, "not a number from 0 to 1"),
        (["dropped"], {"empty": "many"}, "dropped is"),
        (["failed"], ["a"], "failed is"),
        (["files"], {"../x": "0" * 64}, "files is"),
        (["fingerprint"], 5, "not a string"),
        (["more"], 5, "unexpected keyword argument 'more'"),
    ],
)
def test_fields_of_a_manifest_are_checked(data, capsys, keys, value, message):
    change(data / "manifest.json", keys, value)
    with pytest.raises(UserError, match=message):
        read_manifest(data)
    assert cli.main(["verify", str(data)]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    "keys, value, message",
    [
        *WRONG,
        (["parts", 0, "rows"], "5", "not an integer from 0 on"),
        (["parts"], [None], r"parts\[0\] is None"),
        (["splits"], {"train": "5"}, "splits is"),
        (["splits"], {"train": 6}, "its parts have rows"),
        (["features"], [], "not an object"),
    ],
)
def test_fields_of_an_index_are_checked(arrays, capsys, keys, value, message):
    change(arrays / "arrays.json", keys, value)
    with pytest.raises(UserError, match=message):
        read_index(arrays)
    assert cli.main(["verify", str(arrays)]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "[]", "\xff", "{", '{"version": 2}', "1" * 9999]
)
def test_files_that_are_no_manifest(data, content):
    (data / "manifest.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match="not a manifest"):
        read_manifest(data)


def test_a_name_twice(data):
    path = data / "manifest.json"
    values = json.loads(path.read_text())
    values["shards"] *= 2
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match="a name twice"):
        read_manifest(data)


def test_a_record_cannot_claim_more_than_its_file(tmp_path):
    head = struct.pack("<Q", 1 << 44)
    crc = google_crc32c.value(head)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    (tmp_path / "x.tfrecord").write_bytes(head + struct.pack("<I", masked) + b"data")
    with pytest.raises(UserError, match="ends within record 0"):
        list(read_tfrecords(tmp_path / "x.tfrecord"))


def test_verify_names_strangers(data, arrays, capsys):
    for folder, name in ((data, "train-00099-of-00100.tfrecord"), (arrays, "train-9.npz")):
        assert cli.main(["verify", str(folder)]) == 0
        (folder / "README.md").write_text("mine")  # is nobody's row
        (folder / name).touch()
        capsys.readouterr()
        assert cli.main(["verify", str(folder)]) == 1
        error = capsys.readouterr().err
        assert f"{name}: not in the manifest" in error and "README" not in error
    assert find_strangers(data, read_manifest(data).shards)


def test_verify_compares_what_describes_the_set(data, capsys):
    from biobert_jax.files import file_sha256

    (data / "corpus.json").write_text("{}")
    sha256 = file_sha256(data / "corpus.json")
    change(data / "manifest.json", ["files"], {"corpus.json": sha256})
    assert cli.main(["verify", str(data)]) == 0
    (data / "corpus.json").write_text("[]")
    assert cli.main(["verify", str(data)]) == 1
    (data / "corpus.json").unlink()
    assert cli.main(["verify", str(data)]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert "corpus.json: its SHA-256 differs" in first and "corpus.json: missing" in second


def test_what_verify_prints_is_no_order_to_the_terminal(data, capsys):
    (data / "\x1b[2Jx.tfrecord").touch()
    assert cli.main(["verify", str(data)]) == 1
    error = capsys.readouterr().err
    assert "\x1b" not in error and "\\x1b[2Jx.tfrecord" in error


def test_a_row_keeps_its_numbers(data):
    # What the checks let through is what was written.
    assert read_manifest(data).num_rows == 5
    assert np.dtype(read_manifest(data).format.row_dtype).itemsize == 24 * 4
