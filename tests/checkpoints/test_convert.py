"""`biobert convert`: what it says and leaves behind where it cannot do its work."""

import errno
import json
import shutil

import numpy as np
import pytest
from safetensors import SafetensorError

from biobert_jax import cli
from biobert_jax.checkpoints import huggingface, orbax
from biobert_jax.checkpoints.load import load_checkpoint
from biobert_jax.checkpoints.tree import flatten
from tests.checkpoints.tiny import LABELS, MODEL, tiny_params, tiny_tokenizer


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "in/tagger"
    folder.parent.mkdir()
    tokenizer = tiny_tokenizer(folder.parent)
    huggingface.write(folder, MODEL, tiny_params("classifier"), tokenizer, LABELS, 12)
    return folder


@pytest.fixture
def fails(source, tmp_path, capsys):
    """Converts to a format, which must fail, and returns the one line of error."""

    def run(form):
        target = tmp_path / "out/there"
        command = ["convert", "--from", str(source), "--to", str(target), "--format", form]
        assert cli.main(command) == 1
        [line] = capsys.readouterr().err.splitlines()
        assert str(target) in line and ".tmp" not in line
        assert not any((tmp_path / "out").glob("*")) and not any((tmp_path / "out").glob(".*"))
        return line

    return run


def test_there_and_back_is_the_same(source, tmp_path, capsys):
    for form, name, before in (("orbax", "a", source), ("hf", "b", "a"), ("orbax", "c", "b")):
        command = ["convert", "--from", str(tmp_path / before), "--to", str(tmp_path / name)]
        assert cli.main([*command, "--format", form]) == 0
    first, last = load_checkpoint(source), load_checkpoint(tmp_path / "c")
    assert (last.kind, last.labels, last.max_seq_length) == ("ner", LABELS, 12)
    assert last.tokenizer.options == first.tokenizer.options
    assert last.tokenizer.vocab_bytes() == first.tokenizer.vocab_bytes()
    ours, theirs = flatten(last.params), flatten(first.params)
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    assert json.loads((tmp_path / "b/config.json").read_text())["id2label"]["1"] == "B-Drug"


@pytest.mark.parametrize("form", ["hf", "orbax"])
def test_too_little_space_is_said_first(fails, form, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    assert "of disk are needed and 1.0 kB are free there" in fails(form)


def test_a_disk_that_is_full_after_all(fails, monkeypatch):
    def full(*_, **__):
        raise SafetensorError("No space left on device (os error 28)")

    monkeypatch.setattr(huggingface, "save_file", full)
    assert "model.safetensors: cannot be written (No space left" in fails("hf")

    def orbax_fails(*_, **__):
        raise ValueError("RESOURCE_EXHAUSTED:\n No space left on device")

    monkeypatch.setattr(orbax.ocp.StandardCheckpointer, "save", orbax_fails)
    assert "params: cannot be written (RESOURCE_EXHAUSTED: No space left" in fails("orbax")

    def no_right(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", "x")

    monkeypatch.setattr(huggingface, "write", no_right)
    assert "cannot be written (Permission denied)" in fails("hf")
