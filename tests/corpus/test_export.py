"""Records decoded without TensorFlow, the exported arrays, and TensorFlow Datasets' metadata."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax import cli
from biobert_jax.corpus.dataset import export
from biobert_jax.corpus.dataset.decode import decode_rows
from biobert_jax.corpus.dataset.export import export_arrays, read_rows
from biobert_jax.corpus.dataset.manifest import read_manifest
from biobert_jax.corpus.dataset.records import RecordFormat, encode_rows, parse_rows
from biobert_jax.corpus.dataset.tfds import tfds_metadata
from biobert_jax.corpus.dataset.tfrecord import read_tfrecords
from biobert_jax.errors import UserError
from biobert_jax.files import file_sha256
from tests.data.writing import random_rows, write_shards

FORMATS = {
    "packed": RecordFormat("packed", "mlm", 24, 300),
    "large": RecordFormat("packed", "mlm", 24, 70_000),
    "pairs": RecordFormat("packed", "mlm_nsp", 40, 300),
    "bert": RecordFormat("bert", "mlm_nsp", 24, 300_000, 5),
}


@pytest.fixture(params=FORMATS)
def data_set(request, tmp_path) -> tuple[Path, dict[str, np.ndarray]]:
    """A data set whose second training shard has no rows, and so no file; rows by split."""
    format = FORMATS[request.param]
    shards = {
        "train-00000-of-00003.tfrecord": random_rows(format, 7, 1),
        "train-00002-of-00003.tfrecord": random_rows(format, 4, 2),
        "heldout-00000-of-00001.tfrecord": random_rows(format, 3, 3),
    }
    write_shards(tmp_path / "data", format, shards)
    first, second, heldout = shards.values()
    return tmp_path / "data", {"train": np.concatenate([first, second]), "heldout": heldout}


# Decoding.


@pytest.mark.parametrize("name", FORMATS)
@given(count=st.integers(0, 4), seed=st.integers(0, 2**32))
@settings(max_examples=40)
def test_decoding_inverts_encoding(name, count, seed):
    rows = random_rows(FORMATS[name], count, seed)
    decoded = decode_rows(list(encode_rows(rows, FORMATS[name])), FORMATS[name])
    assert decoded.dtype == rows.dtype
    assert decoded.tobytes() == rows.tobytes()


@pytest.mark.parametrize("name", FORMATS)
def test_decoding_equals_tensorflows_parser(name):
    tf = pytest.importorskip("tensorflow")
    format = FORMATS[name]
    records = list(encode_rows(random_rows(format, 9), format))
    parsed = parse_rows(tf.constant(records), format)
    decoded = decode_rows(records, format)
    for feature, values in parsed.items():
        np.testing.assert_array_equal(decoded[feature], values.numpy())


def test_decoding_reads_other_writers_examples():
    tf = pytest.importorskip("tensorflow")
    format = FORMATS["bert"]
    rows = random_rows(format, 1)
    example = tf.train.Example()
    for name in reversed(rows.dtype.names):
        value = rows[name][0].tolist()
        kind = "float_list" if name == "masked_lm_weights" else "int64_list"
        getattr(example.features.feature[name], kind).value.extend(value)
    example.features.feature["another"].bytes_list.value.append(b"x")
    decoded = decode_rows([example.SerializeToString()], format)
    assert decoded.tobytes() == rows.tobytes()


@pytest.mark.parametrize("name", FORMATS)
def test_a_bad_record_is_an_error(name):
    format = FORMATS[name]
    good, other = encode_rows(random_rows(format, 2), format)
    renamed = good.replace(b"input_ids", b"input_idx")
    for bad in (good[:-1], good + b"\x0a", b"", renamed):
        with pytest.raises(ValueError):
            decode_rows([other, bad], format)


def test_numbers_that_move_between_features_are_an_error():
    format = FORMATS["bert"]
    shorter = RecordFormat("bert", "mlm_nsp", 23, 300_000, 5)
    longer = RecordFormat("bert", "mlm_nsp", 25, 300_000, 5)
    records = [next(encode_rows(random_rows(f, 1), f)) for f in (shorter, longer)]
    with pytest.raises(ValueError, match="input_ids of 24"):
        decode_rows(records, format)  # Together they hold as many numbers as they should.


# The export.


def load(output: Path, split: str) -> dict[str, np.ndarray]:
    index = json.loads((output / "arrays.json").read_text())
    parts = [np.load(output / p["name"]) for p in index["parts"] if p["split"] == split]
    return {name: np.concatenate([part[name] for part in parts]) for name in index["features"]}


def test_the_arrays_are_the_rows(data_set, tmp_path):
    directory, rows = data_set
    size = rows["train"].itemsize
    index = export_arrays(directory, tmp_path / "arrays", part_bytes=3 * size)
    assert index == json.loads((tmp_path / "arrays" / "arrays.json").read_text())
    assert index["splits"] == {"train": 11, "heldout": 3}
    assert [part["rows"] for part in index["parts"]] == [3, 3, 3, 2, 3]
    assert index["parts"][3]["name"] == "train-00003-of-00004.npz"
    for split, expected in rows.items():
        loaded = load(tmp_path / "arrays", split)
        assert list(loaded) == list(expected.dtype.names)
        for name, values in loaded.items():
            assert values.dtype.str == index["features"][name]["dtype"]
            assert list(values.shape[1:]) == index["features"][name]["shape"]
            np.testing.assert_array_equal(values, expected[name])
    for part in index["parts"]:
        path = tmp_path / "arrays" / part["name"]
        assert (path.stat().st_size, file_sha256(path)) == (part["bytes"], part["sha256"])
    tokenizer = index["tokenizer"]
    assert file_sha256(tmp_path / "arrays" / tokenizer["file"]) == tokenizer["sha256"]


@pytest.mark.parametrize("data_set", ["packed"], indirect=True)
@pytest.mark.parametrize(
    ("options", "counts"),
    [
        (["--split", "train"], {"train": 11}),
        (["--split", "heldout"], {"heldout": 3}),
        (["--max_rows", "5"], {"train": 5, "heldout": 3}),
    ],
)
def test_a_part_of_the_rows(data_set, tmp_path, capsys, options, counts):
    directory, rows = data_set
    output = tmp_path / "deep" / "arrays"
    assert cli.main(["export", str(directory), "--output", str(output), *options]) == 0
    assert "rows in" in capsys.readouterr().out
    index = json.loads((output / "arrays.json").read_text())
    assert index["splits"] == counts
    for split, count in counts.items():
        np.testing.assert_array_equal(
            load(output, split)["input_ids"], rows[split]["input_ids"][:count]
        )


@pytest.mark.parametrize("data_set", ["packed"], indirect=True)
def test_errors_are_one_line_and_leave_nothing(data_set, tmp_path, capsys, monkeypatch):
    directory, _ = data_set

    def fails(*arguments: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        assert cli.main(["export", *map(str, arguments)]) == 1
        assert sorted(tmp_path.rglob("*")) == before
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1
        return error

    output = tmp_path / "out"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert "exists" in fails(directory, "--output", tmp_path / "full")
    assert "exists" in fails(directory, "--output", tmp_path / "full" / "file")
    assert "no prepared data set" in fails(tmp_path / "full", "--output", output)
    assert "--max_rows 0" in fails(directory, "--output", output, "--max_rows", "0")

    def no_space(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(export.np, "savez", no_space)
        assert f"no space left on the disk ({output})" in fails(directory, "--output", output)

    with monkeypatch.context() as patch:
        patch.setattr(export, "free_bytes", lambda path: 1000)
        assert "of disk are needed and 1.0 kB are free" in fails(directory, "--output", output)

    shard = directory / "train-00002-of-00003.tfrecord"
    data = bytearray(shard.read_bytes())
    data[-10] ^= 1
    shard.write_bytes(data)
    assert "record 3 is damaged" in fails(directory, "--output", output)
    shard.write_bytes(data[:-1])
    assert shard.name in fails(directory, "--output", output)


@pytest.mark.parametrize("data_set", ["packed"], indirect=True)
def test_what_a_killed_export_left_goes(data_set, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(export, "_write_part", killed)
        patch.setattr("biobert_jax.files.shutil.rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            export_arrays(data_set[0], tmp_path / "arrays")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".arrays.tmp", "data"]
    export_arrays(data_set[0], tmp_path / "arrays")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["arrays", "data"]


@pytest.mark.parametrize("data_set", ["packed"], indirect=True)
def test_a_split_without_rows_is_an_error(data_set, tmp_path):
    directory, rows = data_set
    shards = {"train-00000-of-00001.tfrecord": rows["train"]}
    write_shards(tmp_path / "no_heldout", FORMATS["packed"], shards)
    with pytest.raises(UserError, match="no rows to export in the split heldout"):
        export_arrays(tmp_path / "no_heldout", tmp_path / "out", splits=["heldout"])


def test_rows_are_read_in_order(data_set, monkeypatch):
    monkeypatch.setattr(export, "_BATCH", 2)
    directory, rows = data_set
    read = list(read_rows(directory, read_manifest(directory), "train"))
    assert [len(batch) for batch in read] == [2, 2, 2, 1, 2, 2]
    assert np.concatenate(read).tobytes() == rows["train"].tobytes()


# TensorFlow Datasets.


def test_tensorflow_datasets_opens_the_folder(data_set):
    tf = pytest.importorskip("tensorflow")
    tfds = pytest.importorskip("tensorflow_datasets")
    directory, rows = data_set
    manifest = read_manifest(directory)
    for name, text in tfds_metadata(manifest).items():
        (directory / name).write_text(text)
    builder = tfds.builder_from_directory(directory)
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    for split, expected in rows.items():
        info = builder.info.splits[split]
        assert info.num_examples == len(expected)
        records = [
            record
            for shard in manifest.split(split)
            for record in read_tfrecords(directory / shard.name)
        ]
        assert info.num_bytes == sum(map(len, records))
        parsed = parse_rows(tf.constant(records), manifest.format)
        dataset = builder.as_dataset(split=split, read_config=in_order, batch_size=100)
        (batch,) = list(dataset)
        assert batch.keys() == parsed.keys()
        for name, values in batch.items():
            assert values.dtype == parsed[name].dtype
            np.testing.assert_array_equal(values.numpy(), parsed[name].numpy())


@pytest.mark.parametrize("name", FORMATS)
def test_the_metadata_are_as_tensorflow_datasets_writes_them(name, tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    write_shards(tmp_path / "data", FORMATS[name], {})
    text = tfds_metadata(read_manifest(tmp_path / "data"))["features.json"]
    (tmp_path / "features.json").write_text(text)
    features = tfds.features.FeaturesDict.from_config(str(tmp_path))
    features.save_config(str(tmp_path))
    assert json.loads(text) == json.loads((tmp_path / "features.json").read_text())
