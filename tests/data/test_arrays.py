"""Training rows from exported arrays: their order, what is refused, and no TensorFlow."""

import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax import cli
from biobert_jax.corpus.dataset.export import export_arrays
from biobert_jax.corpus.dataset.records import RecordFormat
from biobert_jax.data import arrays
from biobert_jax.data.arrays import ArrayData, block_rows, cut_blocks, read_ahead
from biobert_jax.data.folders import open_prepared
from biobert_jax.data.source import Block
from biobert_jax.data.tfrecords import PreparedData
from biobert_jax.errors import UserError
from tests.data.writing import write_dataset, write_shards

NUMBERED = RecordFormat("packed", "mlm", 4, 70_000)


def write_numbered(directory: Path, num_rows: int, part_rows: int) -> Path:
    """Arrays whose rows hold their number in every place."""
    rows = np.zeros(num_rows, NUMBERED.row_dtype)
    for name in NUMBERED.features:
        rows[name] = np.arange(num_rows)[:, None]
    write_shards(directory / "data", NUMBERED, {"train-0.tfrecord": rows})
    size = part_rows * NUMBERED.row_dtype.itemsize
    export_arrays(directory / "data", directory / "arrays", part_bytes=size)
    return directory / "arrays"


def numbers(data: ArrayData, count: int, batch_size: int = 8, **arguments) -> np.ndarray:
    """The rows' numbers, [count, rows of a batch]."""
    batches = data.train_batches(batch_size, seed=3, **arguments)
    found = []
    for batch in itertools.islice(batches, count):
        number = batch["input_ids"][:, :1]
        assert all((values == number).all() for values in batch.values())
        found.append(number[:, 0])
    batches.close()
    return np.stack(found)


@settings(max_examples=25)
@given(st.data())
def test_the_order_of_any_parts(data):
    num_rows = data.draw(st.integers(1, 60), "rows")
    part_rows = data.draw(st.integers(1, 60), "rows of a part")
    size = data.draw(st.integers(1, 9), "rows of a block")
    start = data.draw(st.integers(0, 25), "start")
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(arrays, "block_rows", lambda _: size),
        mock.patch.object(arrays, "_MAX_OPEN_FILES", 2),
    ):
        opened = ArrayData(write_numbered(Path(folder), num_rows, part_rows))
        assert all(block.rows <= size for block in opened.train)
        steps = -(-num_rows // 8) + 2
        whole = numbers(opened, start + steps)
        # The same on any number of hosts,
        for hosts in (1, 2, 4, 8):
            if hosts <= len(opened.train):
                parts = [numbers(opened, steps, host=h, num_hosts=hosts) for h in range(hosts)]
                np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole[:steps])
        # and after a seek.
        np.testing.assert_array_equal(numbers(opened, steps, start_step=start), whole[start:])
        # Each epoch reads each row once, in an order of its own.
        one = numbers(opened, 2 * steps, num_streams=1).reshape(-1)
        first, second = one[:num_rows], one[num_rows : 2 * num_rows]
        assert sorted(first) == sorted(second) == list(range(num_rows))
        if len(opened.train) > 20:
            assert first.tolist() != second.tolist()


@given(st.lists(st.integers(1, 9), max_size=9), st.integers(1, 12))
def test_blocks_are_cut_into_equal_lists(sizes, size):
    blocks = [Block(Path(str(i)), rows, 5) for i, rows in enumerate(sizes)]
    lists = list(cut_blocks(iter(blocks), size))
    rows = [[(b.path, b.first_row + i) for b in piece for i in range(b.rows)] for piece in lists]
    assert all(len(piece) == size for piece in rows[:-1])
    assert [row for piece in rows for row in piece] == [
        (b.path, b.first_row + i) for b in blocks for i in range(b.rows)
    ]


def test_blocks_are_many_and_not_too_large():
    assert [block_rows(n) for n in (1, 500, 50_000, 10**8)] == [1, 1, 48, 4096]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Arrays of a data set: parts of 50 rows."""
    root = tmp_path_factory.mktemp("exported")
    directory = write_dataset(root / "data", "bert")
    size = PreparedData(directory).format.row_dtype.itemsize
    export_arrays(directory, root / "arrays", part_bytes=50 * size)
    return root / "arrays"


@pytest.fixture
def folder(exported, tmp_path):
    return Path(shutil.copytree(exported, tmp_path / "arrays"))


def refused(folder: Path, capsys) -> str:
    """The error of opening, which `biobert verify` finds too."""
    with pytest.raises(UserError) as caught:
        open_prepared(folder)
    message = str(caught.value)
    assert "\n" not in message and str(folder) in message
    assert cli.main(["verify", str(folder)]) == 1
    assert message.split(":")[1].split(" (and")[0] in capsys.readouterr().err
    return message


def rewrite(folder: Path, change) -> None:
    """Changes a folder's index."""
    index = json.loads((folder / "arrays.json").read_text())
    change(index)
    (folder / "arrays.json").write_text(json.dumps(index))


def rehash(folder: Path, path: Path) -> None:
    """Makes the index agree with a changed part."""
    from biobert_jax.files import file_sha256

    def change(index):
        [part] = [part for part in index["parts"] if part["name"] == path.name]
        part |= {"bytes": path.stat().st_size, "sha256": file_sha256(path)}

    rewrite(folder, change)


def test_whole_arrays_verify(folder, capsys):
    assert cli.main(["verify", str(folder)]) == 0
    assert "5 parts, 210 rows: all as in arrays.json" in capsys.readouterr().out


def test_damaged_parts(folder, capsys):
    part = folder / "train-00001-of-00004.npz"
    content = part.read_bytes()
    part.write_bytes(content[:-100])
    assert f"{part.name}: {len(content) - 100} bytes" in refused(folder, capsys)
    part.write_bytes(content[:1000] + bytes([content[1000] ^ 1]) + content[1001:])
    assert f"{part.name}: its SHA-256 differs" in refused(folder, capsys)
    part.unlink()
    assert f"{part.name}: missing" in refused(folder, capsys)
    (folder / "train-00002-of-00004.npz").unlink()
    assert f"{part.name}: missing (and 1 more)" in refused(folder, capsys)


def test_another_vocabulary(folder, capsys):
    (folder / "vocab.txt").write_text("[PAD]\n")
    assert "vocab.txt: its SHA-256 differs" in refused(folder, capsys)
    (folder / "vocab.txt").unlink()
    assert "vocab.txt: missing" in refused(folder, capsys)


def test_parts_of_other_arrays(folder, capsys):
    part = folder / "train-00001-of-00004.npz"
    with np.load(part) as loaded:
        good = dict(loaded)
    changes = {
        "input_ids is compressed": lambda: np.savez_compressed(part, **good),
        "no item named 'input_mask.npy'": lambda: np.savez(part, input_ids=good["input_ids"]),
        "input_ids is int32 [49, 32], arrays.json says int32 [50, 32]": lambda: np.savez(
            part, **{name: rows[1:] for name, rows in good.items()}
        ),
        "input_ids is int64 [50, 32]": lambda: np.savez(
            part, **{name: rows.astype(np.int64) for name, rows in good.items()}
        ),
        "not a zip file": lambda: part.write_bytes(b"x" * 99),
    }
    for expected, change in changes.items():
        change()
        rehash(folder, part)
        assert expected in refused(folder, capsys)
    # A zip's end tells where all else is, so that a hole in the middle shifts the heads.
    np.savez(part, **good)
    content = part.read_bytes()
    part.write_bytes(content[:300] + content[900:])
    rehash(folder, part)
    assert f"{part.name}: damaged" in refused(folder, capsys)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda index: index.update(version=7), "version 7, this program reads 1"),
        (lambda index: index.pop("parts"), "not an index of `biobert export`"),
        (lambda index: index["parts"][0].pop("rows"), "not an index of `biobert export`"),
        (lambda index: index["splits"].update(train=3), "its parts have rows"),
        (lambda index: index.update(max_seq_length=64), "its features are not those"),
        (lambda index: index.update(record_format="packed"), "its features are not those"),
    ],
)
def test_an_index_that_does_not_fit(folder, capsys, change, expected):
    rewrite(folder, change)
    assert expected in refused(folder, capsys)


def test_an_index_that_is_no_json(folder, capsys):
    (folder / "arrays.json").write_text("{")
    assert "not an index of `biobert export`" in refused(folder, capsys)


def test_arrays_without_training_rows(exported, folder):
    def drop(index):
        index["parts"] = [part for part in index["parts"] if part["split"] == "heldout"]
        del index["splits"]["train"]

    rewrite(folder, drop)
    with pytest.raises(UserError, match="no training rows"):
        open_prepared(folder)


def test_a_large_part_that_ends_early_while_it_is_read(folder, monkeypatch):
    monkeypatch.setattr(arrays, "HASH_BYTES", 0)
    part = folder / "train-00001-of-00004.npz"
    content = bytearray(part.read_bytes())
    content[1000] ^= 1
    part.write_bytes(content)
    data = open_prepared(folder)  # large data are not hashed
    part.write_bytes(content[:2000])
    with pytest.raises(UserError) as caught:
        list(itertools.islice(data.train_batches(8, seed=0), 40))
    assert f"{part.name} ends early: find what is damaged with `biobert verify" in str(caught.value)


def test_a_folder_is_opened_by_what_is_in_it(exported, tmp_path):
    assert isinstance(open_prepared(exported), ArrayData)
    assert isinstance(open_prepared(str(exported.parent / "data")), PreparedData)
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(UserError, match="neither a prepared data set .* nor arrays"):
            open_prepared(folder)
    (tmp_path / ".work").mkdir()
    with pytest.raises(UserError, match="not finished"):
        open_prepared(tmp_path)
    with pytest.raises(UserError, match="data.dir is not set"):
        open_prepared("")


def test_hosts_share_what_they_can(exported):
    data = open_prepared(exported)
    with pytest.raises(UserError, match="4 hosts cannot share 2 streams"):
        next(data.train_batches(6, seed=0, num_hosts=4))


def test_reading_ahead_keeps_the_order_and_raises_in_it():
    def batches():
        yield from range(1, 8)
        raise UserError("the eighth")

    found = []
    with pytest.raises(UserError, match="the eighth"):
        for batch in read_ahead(batches(), 3):
            found.append(batch)
    assert found == [1, 2, 3, 4, 5, 6, 7]


def test_reading_ahead_ends_with_its_reader():
    closed = threading.Event()

    def batches():
        try:
            yield from itertools.count(1)
        finally:
            closed.set()

    ahead = read_ahead(batches(), 3)
    assert next(ahead) == 1
    ahead.close()
    assert closed.is_set()
    assert not [t for t in threading.enumerate() if t.name.startswith("batches")]


def test_tensorflow_is_not_needed(exported):
    code = f"""
import sys
for name in ("tensorflow", "tensorflow_datasets"):
    sys.modules[name] = None
from biobert_jax import cli
from biobert_jax.data.folders import open_prepared
data = open_prepared({str(exported)!r})
print(next(data.train_batches(8, seed=0))["input_ids"].shape)
print(len(list(data.heldout_batches(8))))
assert cli.main(["verify", {str(exported)!r}]) == 0
open_prepared({str(exported.parent / "data")!r})
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout.splitlines()[:2] == ["(8, 32)", "4"], run.stderr
    assert "TFRecords need TensorFlow" in run.stderr.splitlines()[-1]
    assert "biobert export" in run.stderr.splitlines()[-1]
