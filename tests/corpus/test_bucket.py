"""`prepare` and its inputs in a bucket: the bytes are those of a local run, also after a death."""

import gzip
import json

import pytest

from biobert_jax import cli, storage
from biobert_jax.corpus.dataset.manifest import read_manifest
from biobert_jax.corpus.inputs import expand_inputs
from biobert_jax.corpus.pipeline import bucket as module
from biobert_jax.corpus.pipeline import prepare, tasks
from biobert_jax.corpus.text.tokenization import SPECIAL_NAMES
from biobert_jax.errors import UserError
from biobert_jax.storage import folders, gcsfs_patient

WORDS = "aspirin helps the patient of ward and codeine does not".split()
# What holds the inputs' names, or a hash of them.
OWN = ("manifest.json", "inputs.json", "corpus.html", "corpus.json")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A vocabulary, and files of text and JSON lines, packed and plain."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL_NAMES, *WORDS, *"0123456789"]) + "\n")
    for name in "ab":
        lines = [
            json.dumps({"id": f"{name}{n}", "text": " ".join([name, *WORDS[n % 7 :], *str(n)])})
            for n in range(60)
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "b.jsonl.gz").write_bytes(gzip.compress((folder / "b.jsonl").read_bytes()))
    (folder / "b.jsonl").unlink()
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(gcsfs_patient, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(tasks, "TASK_BYTES", 2000)  # the plain file is shared out by bytes


@pytest.fixture(scope="module")
def remote(bucket, corpus):
    folder = f"{bucket.bucket}/corpus"
    storage.upload_folder(corpus, folder)
    return folder


def command(source, output, *more):
    return [
        *("prepare", "--input", f"{source}/*.jsonl*", "--format", "jsonl"),
        *("--vocab", f"{source}/vocab.txt", "--max_seq_length", "32", "--shards", "3"),
        *("--held_out", "0.1", "--workers", "1", "--output", str(output), *more),
    ]


def content(bucket, folder):
    prefix = folder.removeprefix("gs://bucket/") + "/"
    return {name.removeprefix(prefix): bucket.content(name) for name in bucket.names(prefix)}


@pytest.fixture(scope="module")
def local(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("local") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "TASK_BYTES", 2000)
        assert cli.main(command(corpus, folder)) == 0
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_same(found, local):
    assert sorted(found) == sorted(local)
    for name in local:
        if name not in OWN:
            assert found[name] == local[name], name
    manifests = [json.loads(side["manifest.json"]) for side in (found, local)]
    for manifest in manifests:
        del manifest["fingerprint"], manifest["arguments"]["inputs"], manifest["arguments"]["vocab"]
        del manifest["files"]["corpus.html"], manifest["files"]["corpus.json"]
    assert manifests[0] == manifests[1]


def test_all_in_the_bucket(bucket, remote, local, tmp_path, capsys):
    output = f"{bucket.bucket}/all/data"
    with bucket.failing(share=0.2, seed=4):
        assert cli.main(command(remote, output)) == 0
    assert f"{output}: 120 documents" in capsys.readouterr().out
    assert_same(content(bucket, output), local)
    assert list((tmp_path / "cache/biobert_jax/scratch").iterdir()) == []
    # Once more: it is finished, and only looked at.
    before = len(bucket.requests)
    assert cli.main(command(remote, output)) == 0
    assert {request.method for request in bucket.requests[before:]} == {"GET"}
    assert cli.main(command(remote, output, "--seed", "1")) == 1
    assert "holds another data set" in capsys.readouterr().err


def test_of_local_files_every_byte_is_the_same(bucket, corpus, local):
    output = f"{bucket.bucket}/of_local/data"
    assert cli.main(command(corpus, output)) == 0
    assert content(bucket, output) == local


@pytest.mark.parametrize("when", range(0, 12, 3))
def test_a_death_while_publishing(bucket, remote, local, tmp_path, monkeypatch, when):
    class Death(Exception):
        """Nothing of ours catches it."""

    output = f"{bucket.bucket}/death{when}/data"
    send, sent = folders.upload_async, []

    async def die(*args):
        if len(sent) == when:
            raise Death
        sent.append(args)
        return await send(*args)

    with monkeypatch.context() as patch:
        patch.setattr(folders, "upload_async", die)
        with pytest.raises(Death):
            cli.main(command(remote, output))
    assert not storage.exists(f"{output}/manifest.json")
    with pytest.raises(UserError, match="its preparation was not finished"):
        read_manifest(output)
    # Of the same command alone, which does not make anything anew.
    assert cli.main(command(remote, output, "--seed", "1")) == 1
    monkeypatch.setattr(prepare, "_run", None)
    assert cli.main(command(remote, output)) == 0
    assert_same(content(bucket, output), local)
    assert list((tmp_path / "cache/biobert_jax/scratch").iterdir()) == []


def test_a_shard_that_has_gone_is_made_again(bucket, remote, local, capsys):
    output = f"{bucket.bucket}/gone/data"
    assert cli.main(command(remote, output)) == 0
    storage.delete(f"{output}/train-00001-of-00003.tfrecord")
    storage.write_bytes(f"{output}/train-00000-of-00009.tfrecord", b"of another set")
    storage.write_bytes(f"{output}/notes.txt", b"the user's own")
    assert cli.main(command(remote, output)) == 0
    assert "train-00001-of-00003.tfrecord: missing: prepared anew" in capsys.readouterr().err
    found = content(bucket, output)
    assert found.pop("notes.txt") == b"the user's own"
    assert_same(found, local)


def test_other_folders_are_refused(bucket, remote, capsys):
    storage.write_bytes(f"{bucket.bucket}/other/notes.txt", b"")
    assert cli.main(command(remote, f"{bucket.bucket}/other")) == 1
    assert "holds other files: choose an empty folder" in capsys.readouterr().err
    assert cli.main(command(remote, "gs://no-such-bucket/data")) == 1
    assert "no bucket gs://no-such-bucket" in capsys.readouterr().err
    with bucket.refusing(("POST /upload", 403)):
        assert cli.main(command(remote, f"{bucket.bucket}/forbidden")) == 1
    assert "no right to write there" in capsys.readouterr().err
    assert bucket.names("forbidden") == []
    with module.scratch_folder(f"{bucket.bucket}/busy"):
        assert cli.main(command(remote, f"{bucket.bucket}/busy/")) == 1
    assert "another `biobert prepare` is at work for it here" in capsys.readouterr().err


def test_inputs(bucket, remote):
    suffixes = (".jsonl",)
    a, b = f"{remote}/a.jsonl", f"{remote}/b.jsonl.gz"
    storage.write_bytes(f"{remote}/.hidden/c.jsonl", b"")
    storage.write_bytes(f"{remote}/out/d.jsonl", b"")
    storage.write_bytes(f"{remote}/list", f"{b}\n\n{a}\n".encode())
    for entry, found in (
        (f"{remote}/*.jsonl", (a,)),
        (f"{bucket.bucket}/corp*/?.js*", (a, b)),
        (f"{remote}/", (a, b)),
        (remote, (a, b)),
        (f"{b},{a}", (b, a)),
        (f"@{remote}/list", (b, a)),
        (f"{bucket.bucket}/co*/**/[ab].jsonl*", (a, b)),
    ):
        assert expand_inputs([entry], suffixes, output=f"{remote}/out") == found
    for entry, message in (
        (f"{remote}/*.xml", "no file matches"),
        (f"{remote}/x", "no such file, and no folder with one that ends in .jsonl"),
        ("gs://no-such-bucket/*", "no bucket gs://no-such-bucket"),
        ("s3://bucket/x", "--input s3://bucket/x: only local paths and gs://"),
    ):
        with pytest.raises(UserError, match=message.replace("*", "[*]")):
            expand_inputs([entry], suffixes)
