"""Batches of every kind of data set: whole, in the global order, seekable, dealt to hosts."""

import gzip
import itertools
import shutil

import numpy as np
import pytest

from biobert_jax.corpus.dataset.export import export_arrays
from biobert_jax.corpus.dataset.records import RecordFormat, encode_rows
from biobert_jax.corpus.dataset.tfrecord import encode_example, frame, write_tfrecords
from biobert_jax.data.arrays import ArrayData
from biobert_jax.data.bert_files import BertFiles
from biobert_jax.data.tfrecords import PreparedData
from biobert_jax.errors import UserError
from tests.data.writing import FORMATS, LENGTH, SPECIAL, make_rows, write_dataset, write_rows

# By kind, the rows it holds. "files" are the records of "bert" without their manifest.
KINDS = {
    "mlm": "mlm",
    "pairs": "pairs",
    "bert": "bert",
    "files": "bert",
    "pairs_arrays": "pairs",
    "bert_arrays": "bert",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A prepared folder of each format, and two of arrays in parts of 50 rows."""
    root = tmp_path_factory.mktemp("folders")
    folders = {kind: write_dataset(root / kind, kind) for kind in FORMATS}
    for kind in ("pairs", "bert"):
        size = 50 * FORMATS[kind].row_dtype.itemsize
        folders[f"{kind}_arrays"] = root / f"{kind}_arrays"
        export_arrays(folders[kind], folders[f"{kind}_arrays"], part_bytes=size)
    return folders


@pytest.fixture
def open_data(folders):
    """Opens a data set by its kind."""

    def open_kind(kind):
        if kind.endswith("arrays"):
            return ArrayData(folders[kind])
        if kind != "files":
            return PreparedData(folders[kind])
        folder = folders["bert"]
        return BertFiles([f"{folder}/train-*"], [f"{folder}/heldout-*"], vocab=folder / "vocab.txt")

    return open_kind


def take(data, count, **arguments):
    return list(itertools.islice(data.train_batches(8, seed=3, **arguments), count))


def assert_equal(batches, expected):
    assert len(batches) == len(expected)
    for ours, theirs in zip(batches, expected, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_delivers_every_feature_of_every_row(kind, open_data):
    data = open_data(kind)
    format = data.format
    steps = sum(file.rows for file in data.train) // 8 + 1
    batches = take(data, steps, num_streams=1)
    assert {n: rows.shape for n, rows in batches[0].items()} == {
        n: (8, feature.size) for n, feature in format.features.items()
    }
    found = {name: np.concatenate([b[name] for b in batches]) for name in format.features}
    rows = np.concatenate([make_rows(KINDS[kind], i, 30 + 3 * i) for i in range(5)])
    # One stream reads all shards: the epoch is the first len(rows) rows.
    expected = {tuple(np.concatenate([r[n] for n in format.features])) for r in rows}
    seen = {tuple(np.concatenate([found[n][i] for n in format.features])) for i in range(len(rows))}
    assert seen == expected


@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_the_same_on_any_number_of_hosts_and_after_a_seek(kind, open_data):
    data = open_data(kind)
    whole = take(data, 25)
    for hosts in (2, 4):
        parts = [take(data, 25, host=host, num_hosts=hosts) for host in range(hosts)]
        joined = [
            {name: np.concatenate([part[name] for part in step]) for name in step[0]}
            for step in zip(*parts, strict=True)
        ]
        assert_equal(joined, whole)
    for step in (1, 13, 22):
        assert_equal(take(open_data(kind), 25 - step, start_step=step), whole[step:])


def test_files_give_the_batches_of_the_prepared_folder(open_data):
    assert_equal(take(open_data("files"), 20), take(open_data("bert"), 20))
    assert_equal(
        list(open_data("files").heldout_batches(8)), list(open_data("bert").heldout_batches(8))
    )


@pytest.mark.parametrize("kind", ["pairs", "bert"])
def test_arrays_have_the_rows_and_types_of_the_prepared_folder(kind, open_data):
    ours, theirs = open_data(f"{kind}_arrays"), open_data(kind)
    batches, expected = (list(data.heldout_batches(8)) for data in (ours, theirs))
    assert_equal(batches, expected)
    types = [{name: rows.dtype for name, rows in b[0].items()} for b in (batches, expected)]
    assert types[0] == types[1]
    assert (ours.special, ours.vocab_sha256) == (theirs.special, theirs.vocab_sha256)


@pytest.mark.parametrize("kind", KINDS)
def test_heldout_rows_are_filled_up_with_rows_that_weigh_nothing(kind, open_data):
    data = open_data(kind)
    [file] = data.heldout
    size = file.rows - 3
    full, last = data.heldout_batches(size)
    assert all(len(rows) == size for rows in last.values())
    fill = {name: rows[3:] for name, rows in last.items()}
    assert all((rows == -1).all() for n, rows in fill.items() if n == "next_sentence_labels")
    assert all((rows == 0).all() for n, rows in fill.items() if n != "next_sentence_labels")
    assert (full["input_ids"][:, 0] == SPECIAL.cls).all()
    assert (last["input_ids"][:3, 0] == SPECIAL.cls).all()


@pytest.fixture
def good(tmp_path, folders):
    """Two google files and their vocabulary in a folder of their own."""
    shutil.copy(folders["bert"] / "vocab.txt", tmp_path)
    for index in range(2):
        write_rows(tmp_path / f"{index}.tfrecord", make_rows("bert", index), FORMATS["bert"])
    return tmp_path


def refused(folder, pattern="*.tfrecord", heldout=(), vocab="vocab.txt"):
    with pytest.raises(UserError) as caught:
        BertFiles([f"{folder}/{pattern}"], heldout, vocab=folder / vocab)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_google_files_need_no_manifest(good):
    data = BertFiles([f"{good}/*.tfrecord"], vocab=good / "vocab.txt")
    assert data.format == FORMATS["bert"] and data.special == SPECIAL
    assert [file.rows for file in data.train] == [60, 60] and not data.heldout
    # The same rows elsewhere are the same data; one other row is not.
    copy = good / "copy"
    shutil.copytree(good, copy)
    again = BertFiles([f"{copy}/?.tfrecord"], vocab=good / "vocab.txt")
    assert again.sha256 == data.sha256
    rows = make_rows("bert", 1)
    rows["masked_lm_ids"][-1][0] ^= 1
    write_rows(copy / "1.tfrecord", rows, FORMATS["bert"])
    changed = BertFiles([f"{copy}/?.tfrecord"], vocab=good / "vocab.txt")
    assert changed.sha256 != data.sha256


def test_files_that_are_not_there_or_there_twice(good):
    assert "no file matches" in refused(good, "none*")
    message = refused(good, heldout=[f"{good}/1.tfrecord"])
    assert "1.tfrecord: in data.files and in data.heldout_files" in message
    assert "no such vocabulary" in refused(good, vocab="none.txt")
    write_tfrecords(good / "empty.x", [])
    assert "hold no records" in refused(good, "*.x")


def test_files_that_are_no_tfrecords(good):
    whole = (good / "1.tfrecord").read_bytes()
    (good / "2.tfrecord").write_bytes(gzip.compress(whole))
    assert "2.tfrecord: it is compressed" in refused(good) and "gunzip" in refused(good)
    (good / "2.tfrecord").write_text("[CLS] aspirin helps [SEP]\n")
    assert "2.tfrecord: record 0 is damaged at its head" in refused(good)
    (good / "2.tfrecord").write_bytes(whole[:-5])
    assert "2.tfrecord: ends within record 59" in refused(good)


def test_records_of_another_kind_or_shape(good):
    write_rows(good / "2.tfrecord", make_rows("pairs", 0), FORMATS["pairs"])
    message = refused(good)
    assert "2.tfrecord: record 0 is not of create_pretraining_data.py: it lacks" in message
    assert "input_mask" in message and "data.dir" in message
    row = {name: make_rows("bert", 0)[name][0] for name in FORMATS["bert"].features}
    del row["masked_lm_weights"]
    write_tfrecords(good / "2.tfrecord", [encode_example(row)])
    assert "it lacks masked_lm_weights (" in refused(good)
    write_tfrecords(good / "2.tfrecord", [b"\xff" * 9])
    assert "it lacks input_ids" in refused(good)

    longer = RecordFormat("bert", "mlm_nsp", LENGTH * 2, 100, 5)
    rows = np.zeros(3, longer.row_dtype)
    rows["input_ids"][:, 0] = SPECIAL.cls
    write_rows(good / "2.tfrecord", rows, longer)
    message = refused(good)
    assert "2.tfrecord: record 0 has 64 input_ids where the first of" in message
    assert "0.tfrecord has 32" in message


def test_records_of_another_vocabulary(good):
    tokens = (good / "vocab.txt").read_text().split()
    (good / "small.txt").write_text("\n".join(tokens[:50]) + "\n")
    assert "beyond 50 tokens" in refused(good, vocab="small.txt")
    (good / "other.txt").write_text("\n".join([*tokens[5:], *tokens[:5]]) + "\n")
    message = refused(good, vocab="other.txt")
    assert "start with the id 2, but [CLS] is 97" in message and "data.vocab" in message


@pytest.mark.parametrize("fault", ["bit", "shape"])
def test_a_record_that_cannot_be_read_later_is_named(good, fault):
    records = list(encode_rows(make_rows("bert", 1, count=90), FORMATS["bert"]))
    framed = [frame(record) for record in records]
    if fault == "bit":
        damaged = bytearray(framed[80])
        damaged[30] ^= 1
        framed[80] = bytes(damaged)
    else:
        shorter = RecordFormat("bert", "mlm_nsp", LENGTH // 2, 100, 5)
        framed[80] = frame(next(encode_rows(np.zeros(1, shorter.row_dtype), shorter)))
    (good / "1.tfrecord").write_bytes(b"".join(framed))
    data = BertFiles([f"{good}/*.tfrecord"], vocab=good / "vocab.txt")
    with pytest.raises(UserError, match="1.tfrecord: record 80 (is damaged|has 16 input_ids)"):
        take(data, 40)
