"""Single objects on an emulated bucket, also where requests fail."""

import importlib.util
import itertools
import time

import aiohttp
import pytest
from etils.epath import gpath

from biobert_jax import storage
from biobert_jax.errors import UserError
from biobert_jax.storage import connection, gcsfs_patient, objects, writing

names = itertools.count()


@pytest.fixture
def folder(bucket):
    """A folder in the bucket that no other test has."""
    return f"{bucket.bucket}/objects{next(names)}"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(gcsfs_patient, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(gcsfs_patient, "MAX_WAIT_SECONDS", 0.05)


def test_what_a_bucket_path_is(folder, tmp_path):
    assert storage.is_remote(f"{folder}/x") and not storage.is_remote(tmp_path)
    assert storage.path(tmp_path) == tmp_path
    with pytest.raises(UserError, match=r"^--input s3://b/x: only local paths and gs://"):
        storage.check_scheme("s3://b/x", "--input")


@pytest.mark.parametrize(
    "content", [b"", b"text", b"ends so\r", b"\r\n--x--\r\n\n", bytes(range(256)) * 40000]
)
def test_written_bytes_are_read_again(folder, content):
    written = storage.write_bytes(f"{folder}/a b%2F#?{{0}}ä.bin", content)
    read, found = storage.read_object(written.path)
    assert (read, found) == (content, written)
    assert found.size == len(content) and found.name == "a b%2F#?{0}ä.bin"


def test_etils_opens_it_through_the_same_file_system(folder):
    path = storage.path(f"{folder}/deep/x.txt")
    path.write_text("seen by etils")
    assert storage.read_bytes(path) == b"seen by etils"
    assert [str(p) for p in storage.path(folder).iterdir()] == [f"{folder}/deep"]
    # A listing that was looked at is not remembered.
    storage.write_bytes(f"{folder}/deep/y.txt", b"")
    assert sorted(p.name for p in storage.path(f"{folder}/deep").iterdir()) == ["x.txt", "y.txt"]
    assert type(connection.connect()) is gcsfs_patient.PatientFileSystem


def test_etils_forgets_that_tensorflow_was_its_choice(folder, monkeypatch):
    monkeypatch.setenv("EPATH_USE_TF", "true")
    connection._connection.cache_clear()
    gpath._is_tf_installed.cache_clear()
    assert gpath._is_tf_installed() or importlib.util.find_spec("tensorflow") is None
    assert not storage.path(f"{folder}/x").exists()


def test_lists_and_patterns_over_several_pages(bucket, folder, monkeypatch):
    monkeypatch.setattr(bucket, "page", 3)
    wanted = [f"{folder}/{name}" for name in ("a.gz", "b.gz", "c.txt", "d/e.gz", "d/f/g.gz")]
    for path in wanted:
        storage.write_bytes(path, b"x")
    assert [one.path for one in storage.list_folder(folder)] == wanted
    assert [one.path for one in storage.list_folder(folder, recursive=False)] == wanted[:3]
    assert storage.list_folder(f"{folder}/a") == []
    for pattern, found in (
        ("*.gz", wanted[:2]),
        ("[ac].*", [wanted[0], wanted[2]]),
        ("*/*.gz", wanted[3:4]),
        ("**/*.gz", [path for path in wanted if path.endswith(".gz")]),
        ("a.gz", wanted[:1]),
        ("x*", []),
    ):
        assert [one.path for one in storage.glob(f"{folder}/{pattern}")] == found


def test_one_of_two_creates(folder):
    first = storage.write_bytes(f"{folder}/lease", b"mine", new=True)
    with pytest.raises(storage.ConflictError, match=f"^{folder}/lease: another process"):
        storage.write_bytes(f"{folder}/lease", b"mine", new=True)
    second = storage.write_bytes(first.path, b"taken over", generation=first.generation)
    with pytest.raises(storage.ConflictError):
        storage.write_bytes(first.path, b"too late", generation=first.generation)
    with pytest.raises(storage.ConflictError):
        storage.delete(first.path, generation=first.generation)
    assert storage.read_bytes(first.path) == b"taken over"
    storage.delete(first.path, generation=second.generation)
    assert not storage.exists(first.path)
    storage.delete(first.path)


@pytest.mark.parametrize("fault", [429, 503, 500, "reset", "lost", "cut"])
def test_requests_that_fail_are_made_again(bucket, folder, fault):
    with bucket.failing(share=0.5, seed=1, faults=(fault,)):
        for number in range(10):
            path, content = f"{folder}/{number}", str(number).encode() * 1000
            written = storage.write_bytes(path, content, new=True)
            assert storage.read_object(path) == (content, written)
        assert len(storage.list_folder(folder)) == 10
        storage.delete(f"{folder}/0", generation=storage.stat(f"{folder}/0").generation)
    assert len(storage.list_folder(folder)) == 9


def test_a_lost_answer_is_no_other_writer(bucket, folder):
    with bucket.failing(share=0.7, seed=3, faults=("lost",)):
        first = storage.write_bytes(f"{folder}/lease", b"1", new=True)
        storage.write_bytes(first.path, b"2", generation=first.generation)
        with pytest.raises(storage.ConflictError):
            storage.write_bytes(first.path, b"1", new=True)
    assert storage.read_bytes(first.path) == b"2"


def test_an_object_that_is_written_meanwhile_is_read_all_the_same(bucket, folder, monkeypatch):
    path = f"{folder}/lease"
    storage.write_bytes(path, b"0")
    real, written = objects.stat_async, []

    async def stat(connection, path):
        found = await real(connection, path)
        if len(written) < 3:
            written.append(str(len(written) + 1).encode())
            await writing.write_async(connection, path, written[-1])
        return found

    monkeypatch.setattr(objects, "stat_async", stat)
    content, found = storage.read_object(path)
    assert content == b"3" and found.size == 1


def test_silence_is_waited_out(bucket, folder, monkeypatch):
    quick = aiohttp.ClientTimeout(total=5, sock_connect=0.2, sock_read=0.2)
    monkeypatch.setattr(connection.connect(), "requests_timeout", quick)
    bucket.be_silent(1.0)
    began = time.monotonic()
    storage.write_bytes(f"{folder}/x", b"1")
    assert time.monotonic() - began > 0.8
    assert storage.read_bytes(f"{folder}/x") == b"1"


def test_patience_ends_in_one_line(bucket, folder, monkeypatch):
    monkeypatch.setenv(gcsfs_patient.PATIENCE_VARIABLE, "0.2")
    with bucket.failing(share=1.0, faults=(503,)):
        with pytest.raises(storage.StorageError, match=r"^gs://\S+/x: the storage gave no good"):
            storage.read_bytes(f"{folder}/x")
    monkeypatch.setenv(gcsfs_patient.PATIENCE_VARIABLE, "long")
    with pytest.raises(UserError, match="^BIOBERT_STORAGE_PATIENCE=long: give a number"):
        storage.read_bytes(f"{folder}/x")
    monkeypatch.setenv(gcsfs_patient.PATIENCE_VARIABLE, "0.2")
    with bucket.failing(share=1.0, faults=("reset",)):
        with pytest.raises(storage.StorageError, match="no good answer for 0 s"):
            storage.write_bytes(f"{folder}/x", b"")


@pytest.mark.parametrize(
    ("status", "does", "said"),
    [
        (401, lambda path: storage.read_bytes(path), "no credentials that gs://bucket takes"),
        (403, lambda path: storage.read_bytes(path), "no right to read there: give the account"),
        (403, lambda path: storage.write_bytes(path, b""), "no right to write there.*objectUser"),
        (403, lambda path: storage.delete(path), "no right to write there"),
        (403, lambda path: storage.list_folder(path), "no right to read there"),
        (501, lambda path: storage.read_bytes(path), r"cannot read it \(told to say 501"),
        (400, lambda path: storage.write_bytes(path, b""), r"cannot write it \(told to say 400"),
    ],
)
def test_refusals_are_one_line_at_once(bucket, folder, status, does, said):
    before = len(bucket.requests)
    with bucket.refusing(("", status)):
        with pytest.raises(storage.StorageError, match=f"^{folder}/x: {said}") as caught:
            does(f"{folder}/x")
    assert "\n" not in str(caught.value)
    assert len(bucket.requests) == before + 1


def test_what_is_not_there_is_named(folder):
    for does in (storage.read_bytes, storage.stat):
        with pytest.raises(storage.MissingError, match=f"^{folder}/x: there is no such object$"):
            does(f"{folder}/x")
    for does in (storage.stat, storage.list_folder, lambda path: storage.write_bytes(path, b"")):
        with pytest.raises(FileNotFoundError, match="there is no bucket gs://no-such-bucket$"):
            does("gs://no-such-bucket/x")
    with pytest.raises(UserError, match="a whole bucket"):
        storage.read_bytes("gs://bucket")


def test_damage_is_seen(bucket, folder):
    written = storage.write_bytes(f"{folder}/x", b"right")
    bucket.put(written.path.removeprefix("gs://bucket/"), b"wrong")
    with pytest.raises(storage.StorageError, match="do not fit its checksum"):
        storage.read_bytes(written.path)


def test_without_gcsfs(monkeypatch):
    connection._connection.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "biobert_jax.storage.gcsfs_patient", None)
    with pytest.raises(UserError, match=r"need gcsfs .*pip install 'biobert-jax\[gcs\]'"):
        storage.exists("gs://bucket/x")
