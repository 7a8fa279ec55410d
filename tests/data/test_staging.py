"""Data sets in a bucket: the rows of the local ones, no more of the disk than is allowed."""

import contextlib
import itertools
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from biobert_jax import storage
from biobert_jax.corpus.dataset.export import export_arrays
from biobert_jax.data import staging
from biobert_jax.data.folders import open_prepared
from biobert_jax.errors import UserError
from biobert_jax.storage import gcsfs_patient, transfers
from tests.data.writing import FORMATS, write_dataset


@pytest.fixture(autouse=True)
def own_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(gcsfs_patient, "FIRST_WAIT_SECONDS", 0.01)


@pytest.fixture(scope="module")
def folders(bucket, tmp_path_factory):
    """A local data set, and its copy in the bucket."""
    local = write_dataset(tmp_path_factory.mktemp("staging") / "data", "mlm")
    remote = f"{bucket.bucket}/staging/data"
    storage.upload_folder(local, remote)
    return local, remote


def most_bytes(folder, while_taking):
    """The same batches; the most bytes of shards that lay in the folder meanwhile."""
    most = 0
    for batch in while_taking:
        total = 0
        for path in folder.rglob("*.tfrecord*"):
            with contextlib.suppress(FileNotFoundError):  # deleted at this moment
                total += path.stat().st_size
        most = max(most, total)
        yield batch, most


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("start_step, num_streams", [(0, 0), (0, 1), (13, 2)])
def test_the_rows_of_a_local_set(bucket, folders, tmp_path, start_step, num_streams):
    local, remote = (open_prepared(folder) for folder in folders)
    assert (local.sha256, local.summary) == (remote.sha256, remote.summary)
    sizes = [shard.bytes for shard in remote.manifest.split("train")]
    streams = remote.num_streams(8, num_streams)
    options = dict(seed=3, start_step=start_step, num_streams=num_streams)
    with bucket.failing(share=0.2, seed=8):
        batches = most_bytes(tmp_path, remote.train_batches(8, **options))
        found = list(itertools.islice(batches, 60))
    assert_equal([b for b, _ in found], itertools.islice(local.train_batches(8, **options), 60))
    assert found[-1][1] <= streams * (1 + staging.AHEAD) * max(sizes)
    assert 0 < remote.waited_for_staging() < 60
    batches.close()


def test_hosts_bring_the_shards_of_their_own_streams(bucket, folders):
    def shards_read(host, num_hosts):
        bucket.requests.clear()
        data = open_prepared(folders[1])
        batches = data.train_batches(8, seed=0, num_streams=2, host=host, num_hosts=num_hosts)
        list(itertools.islice(batches, 3))
        batches.close()
        return {r.path.partition("?")[0] for r in bucket.requests if "/download/" in r.path}

    first, second = (shards_read(host, 2) for host in (0, 1))
    named = [{path for path in paths if "train-" in path} for paths in (first, second)]
    assert named[0] and named[1] and not named[0] & named[1]


def test_no_more_disk_than_is_allowed(folders, tmp_path):
    local, remote = folders
    largest = max(s.bytes for s in open_prepared(local).manifest.shards)
    batches = {}
    for shards in (1, 2):
        data = open_prepared(remote, staging_gb=shards * largest * 2 / 1e9)
        taken = most_bytes(tmp_path, data.train_batches(8, seed=3, num_streams=2))
        *_, (_, most) = itertools.islice(taken, 50)
        assert most <= shards * largest * 2
        batches[shards] = most
    assert batches[1] < batches[2]
    data = open_prepared(remote, staging_gb=1.5 * largest / 1e9)
    with pytest.raises(UserError, match=r"^data.staging_gb \S+: this host reads 2 shards of gs"):
        next(data.train_batches(8, seed=3, num_streams=2))


def test_held_out_shards_stay_where_they_fit(bucket, folders):
    local, remote = folders
    for data, again in (open_prepared(remote), 0), (open_prepared(remote, staging_gb=1e-5), 1):
        for _ in range(2):
            bucket.requests.clear()
            assert_equal(data.heldout_batches(8), open_prepared(local).heldout_batches(8))
        assert sum("/download/" in r.path for r in bucket.requests) >= again
        assert again or not bucket.requests


def test_nothing_is_left(folders, tmp_path):
    (tmp_path / "biobert-dead").mkdir()
    (tmp_path / "biobert-dead/lock").touch()
    data = open_prepared(folders[1])
    own = data.staging.folder
    assert [path.name for path in tmp_path.iterdir()] == [own.name]
    batches = data.train_batches(8, seed=0)
    next(batches)
    other = open_prepared(folders[1])  # leaves the living one's folder alone
    assert {path.name for path in tmp_path.iterdir()} == {own.name, other.staging.folder.name}
    del other
    assert [path.name for path in tmp_path.iterdir()] == [own.name]
    batches.close()
    assert not list(own.rglob("train*"))


def first_batch(data):
    batches = data.train_batches(8, seed=0, num_streams=1)
    for _ in range(50):
        next(batches)


def test_what_is_wrong_is_one_line(bucket, folders, tmp_path, monkeypatch):
    local, _ = folders
    remote = f"{bucket.bucket}/staging/wrong"
    storage.upload_folder(local, remote)
    name = "staging/wrong/train-00001-of-00003.tfrecord"
    name = next(n for n in bucket.names("staging/wrong/train-"))
    good = bucket.content(name)

    storage.write_bytes(f"gs://bucket/{name}", good[:-1] + b"x")
    with pytest.raises(UserError, match=f"^gs://bucket/{name}: damaged: its SHA-256"):
        first_batch(open_prepared(remote))
    storage.write_bytes(f"gs://bucket/{name}", good[:-1])
    with pytest.raises(UserError, match=rf"^gs://bucket/{name}: {len(good) - 1} bytes, the mani"):
        open_prepared(remote)
    storage.delete(f"gs://bucket/{name}")
    with pytest.raises(UserError, match=f"^gs://bucket/{name}: missing: prepare the data"):
        open_prepared(remote)
    storage.write_bytes(f"gs://bucket/{name}", good)

    data = open_prepared(remote)
    with bucket.refusing(("/download/", 403)):
        with pytest.raises(UserError, match="^gs://bucket/staging/wrong/.*no right to read"):
            first_batch(data)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(transfers.os, "replace", full)
        with pytest.raises(UserError, match="^no space left on this machine's disk for gs://"):
            first_batch(data)
    while list(tmp_path.rglob(".*.part")):  # cancelled, and about to be removed
        time.sleep(0.01)
    storage.write_bytes(f"{bucket.bucket}/staging/unfinished/.work/fingerprint", b"")
    for path, message in (
        (f"{bucket.bucket}/staging", "neither a prepared data set"),
        (f"{bucket.bucket}/staging/unfinished", "its preparation was not finished"),
        ("gs://no-such-bucket/data", "no bucket gs://no-such-bucket"),
    ):
        with pytest.raises(UserError, match=message):
            open_prepared(path)


def test_arrays_are_brought_as_a_whole(bucket, folders, tmp_path):
    local = Path(tmp_path, "arrays")
    export_arrays(folders[0], local, part_bytes=50 * FORMATS["mlm"].row_dtype.itemsize)
    remote = f"{bucket.bucket}/staging/arrays"
    storage.upload_folder(local, remote)
    data = open_prepared(remote)
    assert data.name == remote
    assert_equal(data.heldout_batches(8), open_prepared(local).heldout_batches(8))
    both = [
        itertools.islice(open_prepared(x).train_batches(8, seed=1), 20) for x in (remote, local)
    ]
    assert_equal(*both)
    with pytest.raises(UserError, match=r"^data.staging_gb 1e-06: gs://\S+ has .* of arrays"):
        open_prepared(remote, staging_gb=1e-6)
    part = bucket.names("staging/arrays/train")[0]
    storage.write_bytes(f"gs://bucket/{part}", b"x" * len(bucket.content(part)))
    with pytest.raises(UserError, match=f"^gs://bucket/{part}: damaged"):
        open_prepared(remote)
