"""The Beam runner makes the very files that the local one makes."""

import os

import pytest

from biobert_jax import cli, storage
from tests.end_to_end.test_prepare import bytes_of, write_jsonl


@pytest.fixture(scope="module", autouse=True)
def beam():
    """Imported when its tests run, and not by every worker that collects them."""
    pytest.importorskip("apache_beam")


def assert_same_files(folder):
    local, beam = folder / "local/data", folder / "beam/data"
    assert sorted(os.listdir(beam)) == sorted(os.listdir(local))
    for name in os.listdir(local):
        assert (beam / name).read_bytes() == (local / name).read_bytes(), name


@pytest.mark.parametrize(
    "more",
    [
        ["--max_seq_length", "64", "--near_duplicates", "0.8"],
        ["--max_seq_length", "64", "--objective", "mlm_nsp", "--shards", "2"],
        ["--max_seq_length", "32", "--record_format", "bert", "--dupe_factor", "2"],
    ],
    ids=["mlm", "pairs", "bert"],
)
def test_same_files_as_the_local_runner(corpus, vocab, tmp_path, monkeypatch, capsys, more):
    from biobert_jax.corpus.pipeline import spill, tasks

    # Several tasks, and several chunks a task.
    monkeypatch.setattr(tasks, "TASK_BYTES", 20_000)
    monkeypatch.setattr(spill, "CHUNK_BYTES", 20_000)
    write_jsonl(tmp_path / "a.jsonl.gz", corpus, copies=2)
    (tmp_path / "b.jsonl").write_text('{"text": "a whole document"}\n{"text": " "}\n')
    (tmp_path / "broken.jsonl").write_text('{"text": "lost with its file"}\nnot JSON\n')

    def run(name, *runner):
        source = ["--input", str(tmp_path / "*.jsonl*"), "--format", "jsonl"]
        where = ["--vocab", str(vocab), "--output", str(tmp_path / name / "data")]
        where += ["--held_out", "0.1"]
        status = cli.main(["prepare", *source, *where, *more, *runner])
        return status, capsys.readouterr()

    local, beam = run("local", "--workers", "1"), run("beam", "--runner", "beam")
    assert local[0] == beam[0] == 1
    assert "broken.jsonl:2" in beam[1].err and "broken.jsonl:2" in local[1].err
    assert_same_files(tmp_path)
    again = run("beam", "--runner", "beam")  # which finds it finished
    assert again[0] == 1 and again[1].out == beam[1].out
    assert cli.main(["verify", str(tmp_path / "beam/data")]) == 0


@pytest.mark.slow
def test_it_goes_on_where_another_run_was_stopped_and_never_beside_one(
    corpus, vocab, tmp_path, monkeypatch, capsys
):
    from biobert_jax.corpus.pipeline import beam, encode, output, prepare, tasks

    monkeypatch.setattr(tasks, "TASK_BYTES", 20_000)
    for name in "abc":
        write_jsonl(tmp_path / f"{name}.jsonl.gz", corpus)

    def run(name, *runner):
        source = ["--input", str(tmp_path / "*.jsonl.gz"), "--format", "jsonl"]
        where = ["--vocab", str(vocab), "--output", str(tmp_path / name / "data")]
        status = cli.main(["prepare", *source, *where, "--max_seq_length", "64", *runner])
        return status, ([""] + capsys.readouterr().err.splitlines())[-1]

    assert run("local", "--workers", "1")[0] == 0
    # The local runner dies when it has packed a task and given its documents back.
    packed = []
    original = prepare.pack_task

    def pack(*arguments):
        if packed:
            raise KeyboardInterrupt
        packed.append(original(*arguments))
        return packed[0]

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "pack_task", pack)
        assert run("beam", "--workers", "1") == (130, "interrupted")
    with output.locked(tmp_path / "beam/data"):
        status, line = run("beam", "--runner", "beam")
        assert status == 1 and "another `biobert prepare` is at work there" in line

    # A pipeline fails after reading; the next one reads again only what was given back.
    with monkeypatch.context() as patch:
        patch.setattr(beam, "packed_chunks", lambda *_: 1 / 0)
        status, line = run("beam", "--runner", "beam")
        assert status == 1 and "the Beam pipeline failed: division by zero" in line
    read = []
    open_documents = encode.open_documents

    def reading(path, *arguments, **options):
        read.append(path)
        return open_documents(path, *arguments, **options)

    monkeypatch.setattr(encode, "open_documents", reading)
    assert run("beam", "--runner", "beam")[0] == 0
    assert len(read) <= 1
    assert_same_files(tmp_path)


def test_errors_are_one_line(corpus, vocab, tmp_path, capsys):
    (tmp_path / "broken.jsonl").write_text("not JSON\n")
    command = ["prepare", "--input", str(tmp_path / "broken.jsonl"), "--format", "jsonl"]
    command += ["--vocab", str(vocab), "--output", str(tmp_path / "out"), "--runner", "beam"]

    def fails(*more, code=1):
        assert cli.main([*command, *more]) == code
        lines = capsys.readouterr().err.strip().splitlines()
        return lines[-1]

    assert "broken.jsonl:1" in fails("--on_error", "fail")
    assert "no document is left" in fails()
    assert not (tmp_path / "out/manifest.json").exists()
    assert "passes options on" in fails("--runner", "local", "--", "--project=p", code=2)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "format, files", [("pmc", "pmc/*sample0.tar.gz"), ("pubmed", "pubmed/*.xml.gz")]
)
def test_same_files_on_real_corpora(shared_data, tmp_path, format, files):
    vocab = shared_data / "vocab/biobert-cased/vocab.txt"
    command = ["prepare", "--input", str(shared_data / "corpus" / files), "--format", format]
    command += ["--vocab", str(vocab), "--output"]
    assert cli.main([*command, str(tmp_path / "local/data")]) == 0
    assert cli.main([*command, str(tmp_path / "beam/data"), "--runner", "beam"]) == 0
    assert_same_files(tmp_path)
    assert len(bytes_of(tmp_path / "beam/data")) >= 4


def test_in_a_bucket(bucket, corpus, vocab, tmp_path):
    storage.upload(write_jsonl(tmp_path / "a.jsonl.gz", corpus), f"{bucket.bucket}/beam/a.jsonl.gz")
    storage.upload(vocab, f"{bucket.bucket}/beam/vocab.txt")
    source, output = f"{bucket.bucket}/beam", f"{bucket.bucket}/beam/data"
    command = ["prepare", "--format", "jsonl", "--max_seq_length", "64", "--workers", "1"]
    names = ["--input", f"{source}/*.gz", "--vocab", f"{source}/vocab.txt"]
    assert cli.main([*command, *names, "--output", output, "--runner", "beam"]) == 0
    names = ["--input", str(tmp_path / "*.gz"), "--vocab", str(vocab)]
    assert cli.main([*command, *names, "--output", str(tmp_path / "data")]) == 0
    shards = bytes_of(tmp_path / "data")
    assert shards == {name: storage.read_bytes(f"{output}/{name}") for name in shards}
    assert not bucket.names("beam/data/.work")
