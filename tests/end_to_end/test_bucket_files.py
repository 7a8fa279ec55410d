"""Verbs whose files are in an emulated bucket: what they make is what local files give."""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from biobert_jax import cli, storage
from biobert_jax.checkpoints import huggingface
from biobert_jax.storage import copies, transfers
from tests.end_to_end.conftest import PRETRAIN, ner_command, pretrain_command


@pytest.fixture(scope="module")
def remote_data(bucket, data):
    """The prepared data set, in the bucket."""
    folder = f"{bucket.bucket}/files/data"
    storage.upload_folder(data, folder)
    return folder


def remote_copy(bucket, name, local):
    path = f"{bucket.bucket}/files/{name}"
    storage.upload_folder(local, path) if local.is_dir() else storage.upload(local, path)
    return path


def ran(command, capsys, code=0):
    assert cli.main([str(word) for word in command]) == code
    return capsys.readouterr()


def assert_same_folder(bucket, remote, local):
    names = [one.path.removeprefix(f"{remote}/") for one in storage.list_folder(remote)]
    files = sorted(path for path in local.rglob("*") if path.is_file())
    assert sorted(names) == sorted(str(path.relative_to(local)) for path in files)
    for path in files:
        assert storage.read_bytes(f"{remote}/{path.relative_to(local)}") == path.read_bytes(), path


@pytest.fixture(scope="module")
def no_copies_left(tmp_path_factory):
    """Every local copy lies here, and is removed."""
    folder = tmp_path_factory.mktemp("copies")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        copies._own_folder.cache_clear()
        yield folder
        large = [p for p in folder.rglob("*") if p.is_file() and p.stat().st_size > 1 << 20]
        assert not large
    copies._own_folder.cache_clear()


def test_vocab(bucket, corpus, tmp_path, capsys):
    source = remote_copy(bucket, "abstracts.xml", corpus / "abstracts.xml")
    command = ["vocab", "--format", "pubmed", "--size", "300"]
    output = f"{bucket.bucket}/files/v/vocab.txt"
    said = ran([*command, "--input", source, "--output", output], capsys)
    assert f"{output}: 300 tokens" in said.out
    ran([*command, "--input", corpus / "abstracts.xml", "--output", tmp_path / "vocab.txt"], capsys)
    assert storage.read_bytes(output) == (tmp_path / "vocab.txt").read_bytes()
    report, local = (
        json.loads(content)
        for content in (
            storage.read_bytes(f"{output}.report.json"),
            (tmp_path / "vocab.txt.report.json").read_bytes(),
        )
    )
    assert report["sample"] == local["sample"]
    again = ran([*command, "--input", source, "--output", output], capsys, 1).err
    assert f"--output {output} exists" in again.splitlines()[-1]


def test_export_and_verify(bucket, remote_data, data, tmp_path, capsys):
    output = f"{bucket.bucket}/files/arrays"
    said = ran(["export", remote_data, "--output", output], capsys)
    assert f"{output}: " in said.out
    ran(["export", data, "--output", tmp_path / "arrays"], capsys)
    assert_same_folder(bucket, output, tmp_path / "arrays")
    for path in (remote_data, output):
        local = {remote_data: data, output: tmp_path / "arrays"}[path]
        said = ran(["verify", path], capsys).out
        assert said == ran(["verify", local], capsys).out.replace(str(local), path)
    name = next(one.path for one in storage.list_folder(output) if "train" in one.name)
    good = storage.read_bytes(name)
    storage.write_bytes(name, good[:-1] + b"x")
    said = ran(["verify", output], capsys, 1).err
    assert f"error: {name}: its SHA-256 differs" in said
    storage.delete(name)
    assert f"error: {name}: missing" in ran(["verify", output], capsys, 1).err


def test_convert_there_and_back(bucket, tagger, pretrained, tmp_path, capsys, no_copies_left):
    source = remote_copy(bucket, "tagger", tagger)
    for form in ("hf", "orbax", "tf1"):
        output = f"{bucket.bucket}/files/{form}"
        said = ran(["convert", "--from", source, "--to", output, "--format", form], capsys).out
        assert said.startswith(f"{output}: ")
        ran(["convert", "--from", tagger, "--to", tmp_path / form, "--format", form], capsys)
        if form == "hf":
            assert_same_folder(bucket, output, tmp_path / form)
        back = ["convert", "--to", tmp_path / f"{form}_back", "--format", "hf", "--from", output]
        if form == "tf1":
            back += ["--task", "ner", "--labels", "B-Disease,I-Disease,O"]
            continue
        ran(back, capsys)
        weights = "model.safetensors"
        found = (tmp_path / f"{form}_back" / weights).read_bytes()
        assert found == (tmp_path / "hf" / weights).read_bytes()
    said = ran(["convert", "--from", source, "--to", output, "--format", "tf1"], capsys, 1).err
    assert f"--target {output} exists" in said or f"--to {output} exists" in said


def test_a_taggers_verbs(bucket, tagger, corpus, tmp_path, capsys, no_copies_left):
    checkpoint = remote_copy(bucket, "tagger", tagger)
    (tmp_path / "notes.txt").write_text("Aspirin may worsen gastric ulcers.\n")
    notes = remote_copy(bucket, "notes.txt", tmp_path / "notes.txt")
    folder = f"{bucket.bucket}/files/tagged"
    outputs = ["--output", f"{folder}/a.jsonl", "--output", f"{folder}/a.html"]
    said = ran(["predict", "--checkpoint", checkpoint, "--input", notes, *outputs], capsys)
    assert f"{folder}/a.jsonl" in said.out
    outputs = ["--output", tmp_path / "t/a.jsonl", "--output", tmp_path / "t/a.html"]
    ran(["predict", "--checkpoint", tagger, "--input", tmp_path / "notes.txt", *outputs], capsys)
    assert_same_folder(bucket, folder, tmp_path / "t")

    task = remote_copy(bucket, "task", corpus)
    scores = f"{bucket.bucket}/files/scores.json"
    test = "test.tsv"
    said = ran(
        ["evaluate", "--checkpoint", checkpoint, "--data", f"{task}/{test}", "--json", scores],
        capsys,
    )
    local = ["evaluate", "--checkpoint", tagger, "--data", corpus / test]
    assert said.out == ran([*local, "--json", tmp_path / "scores.json"], capsys).out
    assert storage.read_bytes(scores) == (tmp_path / "scores.json").read_bytes()
    said = ran(["validate", "--task", "ner", "--data", task], capsys).out
    assert said == ran(["validate", "--task", "ner", "--data", corpus], capsys).out
    said = ran(["verify", checkpoint], capsys).out
    assert said == ran(["verify", tagger], capsys).out.replace(str(tagger), checkpoint)
    damaged = next(name for name in bucket.names("files/tagger/checkpoints") if "/d/" in name)
    storage.write_bytes(f"{bucket.bucket}/{damaged}", b"x" * len(bucket.content(damaged)))
    said = ran(["verify", checkpoint], capsys, 1).err
    assert f"error: {bucket.bucket}/{damaged}: its SHA-256 differs" in said


@pytest.mark.slow
def test_finetuning_from_a_bucket(bucket, pretrained, tagger, corpus, tmp_path, capsys):
    init = remote_copy(bucket, "init", pretrained)
    task = remote_copy(bucket, "task", corpus)
    command = ner_command(init, tmp_path / "run", f"--config.data.dir={task}")
    assert cli.main(command) == 0
    for name in ("predictions.conll",):
        assert (tmp_path / "run" / name).read_bytes() == (tagger / name).read_bytes()


def test_configs_and_gin_in_a_bucket(bucket, data, tmp_path, capsys):
    experiment = remote_copy(bucket, "experiments/mine.py", Path(PRETRAIN))
    storage.write_bytes(f"{bucket.bucket}/files/experiments/a.gin", b"TrainConfig.nosuch = 1")
    command = pretrain_command(data, tmp_path / "run")
    command[command.index("--config") + 1] = experiment
    gin = ["--gin_file", f"{bucket.bucket}/files/experiments/a.gin"]
    said = ran([*command, *gin], capsys, 1).err
    assert "nosuch" in said and "files/experiments/a.gin" in said


def test_a_runs_page(bucket, pretrained, tmp_path, capsys):
    run = remote_copy(bucket, "run", pretrained)
    assert f"{run}/report.html: open it" in ran(["report", run], capsys).out
    shutil.copytree(pretrained, tmp_path / "run")
    ran(["report", tmp_path / "run"], capsys)
    # But for when its files were written, which for copies is by now.
    pages = (storage.read_bytes(f"{run}/report.html"), (tmp_path / "run/report.html").read_bytes())
    ours, expected = (re.sub(rb"20\d\d-\d\d-\d\d \d\d:\d\d", b"", page) for page in pages)
    assert ours == expected
    output = f"{bucket.bucket}/files/page.html"
    ran(["report", pretrained, "--output", output], capsys)
    assert b"<html" in storage.read_bytes(output)


def test_errors_are_one_line(bucket, tagger, tmp_path, capsys):
    checkpoint = remote_copy(bucket, "tagger", tagger)
    note = f"{bucket.bucket}/files/one.txt"
    storage.write_bytes(note, b"Aspirin.")
    predict = ["predict", "--checkpoint", checkpoint, "--input", note]
    out = f"{bucket.bucket}/files/out.jsonl"

    def fails(command, *rules, code=1):
        with bucket.refusing(*rules):
            assert cli.main(command) == code
        lines = capsys.readouterr().err.splitlines()
        return [line for line in lines if line.startswith("error: ")][-1]

    assert "no right to write there" in fails([*predict, "--output", out], ("POST ", 403))
    assert "no credentials that gs://bucket takes" in fails([*predict, "--output", out], ("", 401))
    assert "is an input or another output" in fails([*predict, "--output", note])
    missing = ["predict", "--checkpoint", f"{bucket.bucket}/none", "--input", note]
    assert fails(missing) == f"error: {bucket.bucket}/none: no such checkpoint"
    bad = ["predict", "--checkpoint", "gs://no-such-bucket/x", "--input", note]
    assert "no bucket gs://no-such-bucket" in fails(bad)
    assert "no such object, and no folder" in fails(
        ["evaluate", "--predictions", f"{bucket.bucket}/none.conll"]
    )
    assert not storage.exists(out) and not bucket.names("files/out")


def test_copies_are_removed_however_a_verb_ends(
    bucket, tagger, tmp_path, capsys, monkeypatch, no_copies_left
):
    checkpoint = remote_copy(bucket, "tagger", tagger)
    output = f"{bucket.bucket}/files/never"
    command = ["convert", "--from", checkpoint, "--to", output, "--format", "hf"]

    def left():
        own = copies._own_folder(os.getpid())
        return [p.name for p in own.rglob("*") if p.is_file() and p.stat().st_size > 1 << 20]

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(transfers.os, "replace", full)
        said = ran(command, capsys, 1).err.splitlines()
    assert said[-1].startswith(f"error: no space left on this machine's disk for {checkpoint}")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(huggingface, "write", interrupted)
        assert "interrupted" in ran(command, capsys, 130).err
    assert not left() and not bucket.names("files/never")
