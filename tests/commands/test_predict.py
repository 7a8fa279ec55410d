"""`biobert predict` around its tagger: what it refuses, leaves out, writes and says."""

import io
import json
import os
import subprocess
import sys
import time

import pytest

from biobert_jax import cli
from biobert_jax.predict import tagger
from biobert_jax.predict.annotations import AnnotatedDocument, Entity


class _FirstLetter:
    """Tags the first letter of every text."""

    def __init__(self, checkpoint, batch_size, **options):
        pass

    def tag(self, documents):
        for id_, text in documents:
            yield AnnotatedDocument(id_, text, (Entity(0, 1, "X", text[0], 0.5),) if text else ())


@pytest.fixture
def predict(monkeypatch, capfd):
    """Runs the verb with a tagger without a model; returns exit code, output and errors."""
    monkeypatch.setattr(tagger, "EntityTagger", _FirstLetter)

    def run(*arguments):
        code = cli.main(["predict", "--checkpoint", "none", *map(str, arguments)])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


@pytest.fixture
def notes(tmp_path):
    (tmp_path / "a.txt").write_text("Aspirin µ\U0001f9ec")
    (tmp_path / "b.txt").write_bytes(b"caf\xe9")
    (tmp_path / "c.jsonl").write_text('{"id": 1, "text": "Codeine"}\n{"id": {}, "text": ""}\n')
    return tmp_path


def test_what_is_bad_is_left_out_and_named(predict, notes):
    code, out, err = predict("--input", f"{notes}/*.*", "--output", notes / "out.jsonl")
    assert code == 1 and out == f"2 documents, 2 entities: {notes}/out.jsonl\n"
    bad, line = [line for line in err.splitlines() if line.startswith("error: left out: ")]
    assert f"{notes}/b.txt" in bad and f"{notes}/c.jsonl:2: " in line
    lines = (notes / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["a.txt", "1"]


@pytest.mark.parametrize("more", [["--on_error", "fail"], []])
def test_nothing_is_written_at_a_fault_or_without_a_document(predict, notes, more):
    inputs = "*.*" if more else "b.txt"
    code, _, err = predict("--input", f"{notes}/{inputs}", "--output", notes / "out.jsonl", *more)
    assert code == 1 and f"error: {notes}/b.txt" in err and len(err.splitlines()) == 1
    assert not (notes / "out.jsonl").exists()


def test_an_empty_input_is_said(predict, notes):
    (notes / "empty.jsonl").write_text("\n \n")
    code, out, err = predict("--input", notes / "empty.jsonl", "--output", notes / "out.jsonl")
    assert code == 0 and out.startswith("0 documents") and "no document in the input" in err
    assert (notes / "out.jsonl").read_bytes() == b""


def test_standard_output_is_utf8_whatever_the_terminal(predict, notes, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert predict("--input", notes / "a.txt")[0] == 0
    sys.stdout.flush()
    assert json.loads(raw.getvalue())["text"] == "Aspirin µ\U0001f9ec"


@pytest.mark.parametrize("piped", [True, False])
def test_standard_input(predict, notes, piped):
    source = os.open(notes / "c.jsonl", os.O_RDONLY)
    if piped:
        source, end = os.pipe()
        os.write(end, (notes / "c.jsonl").read_bytes())
        os.close(end)
    saved = os.dup(0)
    os.dup2(source, 0)
    try:
        code, out, err = predict("--input", "-", "--input_format", "jsonl")
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(source)
    assert json.loads(out)["id"] == "1"
    assert code == 1 and "stdin:2: " in err


def test_progress_is_told(predict, notes, monkeypatch):
    ticks = iter(range(0, 1000, 20))
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    err = predict("--input", f"{notes}/a.txt")[2]
    assert err == "load none: 20 s\ntag: 1 documents in 20 s, 0.1 documents/s\n"


def test_ctrl_c_says_what_it_leaves(predict, notes, monkeypatch):
    def interrupted(self, documents):
        yield AnnotatedDocument(*next(iter(documents)), ())
        raise KeyboardInterrupt

    monkeypatch.setattr(_FirstLetter, "tag", interrupted)
    code, _, err = predict("--input", f"{notes}/a.txt", "--output", notes / "out.jsonl")
    assert code == 130
    assert err.splitlines()[-1] == f"interrupted after 1 document: {notes}/out.jsonl: not written"
    assert not (notes / "out.jsonl").exists()


def test_an_output_is_never_an_input_nor_another_output(predict, notes):
    (notes / "link.jsonl").symlink_to(notes / "c.jsonl")
    (notes / "hard.jsonl").hardlink_to(notes / "c.jsonl")
    content = (notes / "c.jsonl").read_bytes()
    for name in ("c.jsonl", "./c.jsonl", "link.jsonl", "hard.jsonl"):
        code, _, err = predict("--input", notes / "c.jsonl", "--output", f"{notes}/{name}")
        assert code == 1 and "is an input, which it would replace" in err
    assert (notes / "c.jsonl").read_bytes() == content
    outputs = ["--output", notes / "out.jsonl", "--output", f"{notes}/./out.jsonl"]
    code, _, err = predict("--input", notes / "a.txt", *outputs)
    assert code == 1 and "given twice" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "NOTES/a.txt", "--output", "x.csv"], "name it .jsonl or .html"),
        (["--input", "NOTES/a.txt", "--output", "NOTES/a.txt/x.jsonl"], "cannot be written"),
        (["--input", "NOTES/a.txt", "--output", f"NOTES/{'x' * 300}.jsonl"], "cannot be written"),
        (["--input", "NOTES/none.txt"], "no such file"),
        (["--input", "Aspirin may, I think, help."], "echo '...' | ... --input -"),
        (["--input", "Aspirin may worsen ulcers."], "echo '...' | ... --input -"),
        (["--input", "NOTES/a.txt", "--batch_size", "0"], "give a number above 0"),
    ],
)
def test_arguments_that_cannot_be_right(predict, notes, arguments, message):
    code, _, err = predict(*(str(word).replace("NOTES", str(notes)) for word in arguments))
    assert code == 1 and len(err.splitlines()) == 1 and message in err


def test_arguments_are_checked_before_jax_is_imported(notes):
    script = (
        "import sys; from biobert_jax import cli\n"
        f"cli.main(['predict', '--checkpoint', 'x', '--input', {str(notes / 'a.txt')!r}, "
        "'--output', 'x.txt'])\n"
        "sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0
