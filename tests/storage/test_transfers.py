"""Files and folders to and from an emulated bucket, also where requests fail."""

import errno
import hashlib
import itertools
import random

import pytest

from biobert_jax import storage
from biobert_jax.errors import UserError
from biobert_jax.storage import gcsfs_patient, transfers

names = itertools.count()


@pytest.fixture
def folder(bucket):
    """A folder in the bucket that no other test has."""
    return f"{bucket.bucket}/transfers{next(names)}"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(transfers, "PART_BYTES", 256 << 10)
    monkeypatch.setattr(gcsfs_patient, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(gcsfs_patient, "MAX_WAIT_SECONDS", 0.05)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "shard"
    path.write_bytes(random.Random(0).randbytes((1 << 20) + 17))
    return path


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_a_file_there_and_back(bucket, folder, file, tmp_path, share):
    sums = hashlib.sha256(file.read_bytes()).hexdigest()
    with bucket.failing(share=share, seed=5):
        sent = storage.upload(file, f"{folder}/shard")
        got = storage.download(sent.path, tmp_path / "new" / "copy", sha256=sums)
    assert got == sent and got.size == file.stat().st_size
    assert (tmp_path / "new" / "copy").read_bytes() == file.read_bytes()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["copy"]


def test_a_large_file_is_created_once(bucket, folder, file):
    with bucket.failing(share=0.5, seed=6, faults=("lost",)):
        storage.upload(file, f"{folder}/x", new=True)
    with pytest.raises(storage.ConflictError):
        storage.upload(file, f"{folder}/x", new=True)


def test_nothing_half_is_left(bucket, folder, file, tmp_path, monkeypatch):
    sent = storage.upload(file, f"{folder}/x")
    with pytest.raises(storage.StorageError, match="damaged: its SHA-256 is"):
        storage.download(sent.path, tmp_path / "copy", sha256="0" * 64)
    bucket.put(sent.path.removeprefix("gs://bucket/"), b"\0" * sent.size)
    with pytest.raises(storage.StorageError, match="do not fit its checksum"):
        storage.download(sent.path, tmp_path / "copy")
    with bucket.refusing(("/download/", 403)):
        with pytest.raises(storage.StorageError, match="no right to read"):
            storage.download(sent.path, tmp_path / "copy")
    with pytest.raises(storage.MissingError, match="no such object"):
        storage.download(f"{folder}/none", tmp_path / "copy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shard"]


def test_a_full_disk_is_one_line(folder, file, tmp_path, monkeypatch):
    sent = storage.upload(file, f"{folder}/x")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfers.os, "replace", full)
    with pytest.raises(storage.StorageError, match=r"^no space left on this machine's disk for gs"):
        storage.download(sent.path, tmp_path / "copy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shard"]


def make_folder(root, **contents):
    for name, content in contents.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_a_folder_there_and_back(bucket, folder, tmp_path):
    local = make_folder(tmp_path / "data", manifest="m", a="1", b__c="2", b__d="")
    with bucket.failing(share=0.3, seed=7):
        storage.upload_folder(local, folder, last=("manifest",))
        storage.download_folder(folder, tmp_path / "copy")
        storage.download_folder(folder, tmp_path / "part", wanted=lambda name: name == "b/c")
    files = [file for file in (tmp_path / "copy").rglob("*") if file.is_file()]
    got = {str(file.relative_to(tmp_path / "copy")): file.read_text() for file in files}
    assert got == {"manifest": "m", "a": "1", "b/c": "2", "b/d": ""}
    assert [p.name for p in (tmp_path / "part").rglob("*")] == ["b", "c"]
    assert storage.delete_folder(folder, first=("manifest",)) == 4
    assert storage.list_folder(folder) == []
    with pytest.raises(storage.MissingError, match="no such folder"):
        storage.download_folder(folder, tmp_path / "copy")


def test_what_says_that_it_is_whole_goes_first_and_comes_last(bucket, folder, tmp_path):
    local = make_folder(tmp_path / "data", manifest="m", a="1", b="2")
    storage.upload_folder(local, folder, last=("manifest",))
    make_folder(local, manifest="n", a="1", b="3", c="4").joinpath("a").unlink()
    before = len(bucket.requests)
    with bucket.refusing(("POST /upload/storage/v1/b/bucket/o", 403)):
        with pytest.raises(storage.StorageError):
            storage.upload_folder(local, folder, last=("manifest",), owned=lambda name: name == "a")
    assert f"{folder}/manifest" not in [one.path for one in storage.list_folder(folder)]
    storage.upload_folder(local, folder, last=("manifest",), owned=lambda name: name == "a")
    assert [one.name for one in storage.list_folder(folder)] == ["b", "c", "manifest"]
    writes = [r for r in bucket.requests[before:] if r.method in ("POST", "DELETE")]
    assert [b'/manifest"' in write.body for write in writes] == [False] * (len(writes) - 1) + [True]
    # Sent once more, nothing is.
    before = len(bucket.requests)
    storage.upload_folder(local, folder, last=("manifest",), owned=lambda name: name == "a")
    assert {r.method for r in bucket.requests[before:]} == {"GET"}


def test_names_that_lead_out_of_the_folder(bucket, folder, tmp_path):
    storage.write_bytes(f"{folder}/x", b"")
    name = folder.removeprefix("gs://bucket/")
    strange = bucket.storage.objects["bucket"][f"{name}/x"]
    strange["name"] = f"{name}/../../x"
    with pytest.raises(UserError, match="leads out of the folder"):
        storage.download_folder(folder, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_grows_meanwhile_is_sent_as_it_was(bucket, folder, tmp_path, monkeypatch):
    """As TensorBoard's, which a run writes while it is sent."""
    path = tmp_path / "events"
    content = bytes(transfers.PART_BYTES + 1000)
    path.write_bytes(content)
    real = transfers.crc32c_of_file

    def growing(stream, size):
        with open(path, "ab") as other:
            other.write(b"more")
        return real(stream, size)

    monkeypatch.setattr(transfers, "crc32c_of_file", growing)
    storage.upload(path, f"{folder}/events")
    assert storage.read_bytes(f"{folder}/events") == content
