"""The command line: one line an error, with the nearest name, and exit codes as documented."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from biobert_jax import cli, errors
from biobert_jax.commands import verify
from biobert_jax.errors import Interrupted, UsageError, UserError

PREPARE = ["prepare", "--input", "a", "--format", "text", "--vocab", "v", "--output", "o"]
TRAIN = ["pretrain", "--config", "pretrain_mini", "--workdir", "w"]


@pytest.fixture
def run(capsys):
    """Runs a command; returns its exit code and the lines of standard error."""

    def run(*words):
        capsys.readouterr()
        code = cli.main([str(word) for word in words])
        return code, capsys.readouterr().err.splitlines()

    return run


@pytest.mark.parametrize(
    "words, message",
    [
        (["prepar"], "no verb prepar: did you mean prepare?"),
        (["xyz"], "no verb xyz: known: prepare, "),
        (["--versio"], "did you mean --version?"),
        (["--input", "x", "predict"], "no option --input"),
        (["prepare"], "needs --input GLOB[,GLOB], --format, --vocab FILE, --output DIR"),
        (PREPARE[:-2], "needs --output DIR (the data set's folder)"),
        (["prepare", "--inptu", "x"], "no option --inptu: did you mean --input?"),
        ([*PREPARE, "--max_seq_len", "9"], "no option --max_seq_len: did you mean --max_seq_len"),
        ([*PREPARE, "--max_seq_len=9"], "no option --max_seq_len: did you mean --max_seq_len"),
        ([*PREPARE, "--format", "pubmedd"], "--format: no 'pubmedd': did you mean pubmed? known:"),
        ([*PREPARE, "--seed", "x"], "--seed: invalid int value: 'x'"),
        ([*PREPARE, "--seed"], "--seed: it needs a value after it"),
        ([*PREPARE, "--config.seed=3"], "no option --config.seed"),
        ([*PREPARE, "--", "--temp_location=x"], "only `prepare --runner beam` passes options on"),
        ([*PREPARE, "--input", "s3://bucket/x"], "--input s3://bucket/x: only local paths"),
        (["verify"], "needs DIR"),
        (["verify", ""], "biobert verify: DIR is empty: give a path"),
        ([*PREPARE, "--output", " "], "--output is empty"),
        ([*TRAIN[:-1], ""], "--workdir is empty"),
        (["verify", "a", "b"], "b belongs to no option"),
        (["verify", "s3://bucket/x"], "DIR s3://bucket/x: only local paths"),
        (["evaluate"], "give --checkpoint with --data, or --predictions"),
        (["evaluate", "--predictions", "a", "--data", "b"], "give --predictions alone"),
        ([*TRAIN, "--config.data.dir"], "write --config.data.dir=VALUE"),
        ([*TRAIN, "--config.data.dir", "x"], "write --config.data.dir=VALUE"),
        ([*TRAIN, "--confg.seed=3"], "did you mean --config"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(run, words, message):
    code, lines = run(*words)
    assert code == 2 and len(lines) == 1 and lines[0].startswith("error: "), lines
    assert message in lines[0]


# The least that each verb takes.
LEAST = {
    "validate": ["--task", "ner", "--data", "x"],
    "prepare": PREPARE[1:],
    "verify": ["d"],
    "export": ["d", "--output", "o"],
    "vocab": ["--input", "a", "--format", "text", "--output", "o"],
    "pretrain": TRAIN[1:],
    "finetune": ["--config", "ner", "--workdir", "w"],
    "evaluate": ["--checkpoint", "c", "--data", "d"],
    "predict": ["--checkpoint", "c", "--input", "i"],
    "convert": ["--from", "c", "--to", "d", "--format", "hf"],
    "compile": ["--config", "pretrain_mini", "--topology", "v5e:2x2"],
    "report": ["w"],
    "config": [],
    "doctor": [],
}


@pytest.mark.parametrize("verb", cli.VERBS)
@pytest.mark.parametrize(
    "outcome, code",
    [
        (None, 0),
        (1, 1),  # such as differences that verify found
        (UserError("x"), 1),
        (UsageError("x"), 2),
        (OSError(errno.EIO, "Input/output error"), 1),
        (Interrupted("x", 130), 130),
        (KeyboardInterrupt(), 130),
        (Interrupted("x", 143), 143),
    ],
)
def test_every_verb_has_the_codes_of_the_table(run, monkeypatch, verb, outcome, code):
    def result(_):
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(cli.VERBS[verb], "run", result)
    got, lines = run(verb, *LEAST[verb])
    assert got == code and len(lines) == isinstance(outcome, BaseException)
    assert run(verb, *LEAST[verb], "--no_such_option")[0] == 2


def test_biobert_alone_and_help_and_version(run, capsys):
    for words in ([], ["--help"], ["prepare", "--help"], ["prepare", "--bad", "-h"], ["--version"]):
        assert cli.main(words) == 0
        out, err = capsys.readouterr()
        assert out and not err


def test_a_url_in_a_title_is_no_path(run, tmp_path):
    code, (line,) = run(
        *("predict", "--checkpoint", tmp_path / "c", "--input", tmp_path / "none.txt"),
        *("--title", "From https://pubmed.gov", "--output", tmp_path / "x.html"),
    )
    assert code == 1 and "local paths" not in line


def raised_by_json():
    json.loads("{")


def raised_by_safetensors(tmp_path):
    from safetensors.numpy import load_file

    (tmp_path / "x").write_bytes(b"\0" * 9)
    load_file(tmp_path / "x")


def raised_by_lxml():
    from lxml import etree

    etree.fromstring(b"<a")


@pytest.mark.parametrize(
    "error, code, line",
    [
        (UserError("two\nlines"), 1, "error: two lines"),
        (Interrupted("saved", 143), 143, "saved"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a"), 1, "error: a: No such file"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a"), 1, "error: a: File name too long"),
        (OSError(errno.ENOSPC, "", "a"), 1, "error: no space left on the disk (a)"),
        (OSError(errno.ENOSPC, ""), 1, "error: no space left on the disk (writing)"),
        (TimeoutError("timed out"), 1, "error: timed out"),
        (MemoryError("Unable to allocate 9 GiB"), 1, "error: out of memory (Unable to allocate"),
        (RecursionError("maximum depth"), 1, "error: nested too deeply to be read (maximum depth)"),
        (UnicodeEncodeError("ascii", "é", 0, 1, "no"), 1, "error: the output's encoding, ascii"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory"), 1, "error: out of memory (Out of mem"),
        (RuntimeError("Unable to initialize backend 'tpu'"), 1, "error: Unable to initialize back"),
        (ValueError("embedded null byte"), 1, "error: not the name of a file (embedded null"),
        (RuntimeError("Symlink loop from 'a'"), 1, "error: not the name of a file (Symlink loop"),
        (raised_by_json, 1, "error: json: Expecting property name"),
        (raised_by_safetensors, 1, "error: safetensors: Error while deserializing header"),
        (raised_by_lxml, 1, "error: lxml: Couldn't find end of Start Tag"),
    ],
)
def test_every_error_of_a_verb_is_one_line(run, monkeypatch, tmp_path, error, code, line):
    def fail(_):
        if isinstance(error, BaseException):
            raise error
        error(*[tmp_path] * error.__code__.co_argcount)

    monkeypatch.setattr(verify, "run", fail)
    got, lines = run("verify", tmp_path)
    assert got == code and len(lines) == 1 and lines[0].startswith(line), lines


def test_a_bug_shows_its_traceback(monkeypatch):
    def fail(_):
        raise KeyError("ours")

    monkeypatch.setattr(verify, "run", fail)
    with pytest.raises(KeyError):
        cli.main(["verify", "x"])
    monkeypatch.setattr(verify, "run", lambda _: json.dumps(object()))
    with pytest.raises(TypeError):
        cli.main(["verify", "x"])


def test_a_traceback_may_be_asked_for(run, monkeypatch, tmp_path):
    monkeypatch.setenv("BIOBERT_TRACEBACK", "1")
    code, lines = run("verify", tmp_path / "none")
    assert code == 1 and lines[0].startswith("Traceback") and lines[-1].startswith("error: ")


@pytest.mark.parametrize(
    "words, advice",
    [
        (TRAIN, "lower --config.data.batch_size, or raise --config.train.accumulation_steps"),
        (["predict", "--checkpoint", "c", "--input", "i"], "lower --batch_size"),
        (PREPARE, "use fewer --workers"),
    ],
)
def test_want_of_memory_says_what_to_lower(run, monkeypatch, words, advice):
    def fail(_):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")

    monkeypatch.setattr(cli.VERBS[words[0]], "run", fail)
    code, (line,) = run(*words)
    assert code == 1 and line.startswith("error: out of memory (Out of memory allocating 9 bytes.)")
    assert advice in line


def test_the_codes_are_those_of_the_table():
    table = [line.split("|")[1] for line in errors.__doc__.splitlines() if line.startswith("| ")]
    codes = {int(code) for cell in table[1:] for code in cell.split(",")}
    assert codes == {0, 1, 2, 130, 143, errors.EXIT_STUCK, errors.EXIT_BROKEN_PIPE}


def test_what_a_terminal_cannot_show_and_a_reader_that_has_gone():
    code = (
        "from biobert_jax import cli; from biobert_jax.commands import verify\n"
        "def run(_): print('caf\\xe9 \\ud800' * 9999)\n"
        "verify.run = run\n"
        "raise SystemExit(cli.main(['verify', 'x']))"
    )
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    root = Path(cli.__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root)
    assert done.returncode == 0 and done.stdout.startswith(r"caf\xe9 \ud800")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=root
    ) as process:
        process.stdout.close()
        assert process.wait() == 141 and process.stderr.read() == b""
