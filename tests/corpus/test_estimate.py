"""What a sample says of a run, and the refusal of one that the disk cannot hold."""

import gzip
import json
import random
import re

import pytest

from biobert_jax import cli
from biobert_jax.corpus.pipeline import estimate as module
from biobert_jax.corpus.pipeline import prepare
from biobert_jax.corpus.pipeline.arguments import PrepareArguments
from biobert_jax.corpus.pipeline.estimate import NothingFound, estimate, usable_bytes
from biobert_jax.corpus.text.tokenization import SPECIAL_NAMES
from biobert_jax.disk import free_bytes
from biobert_jax.errors import UserError


@pytest.fixture
def corpus(tmp_path):
    """Two gzipped files of 300 documents each, half of them a tenth as long."""
    return write(tmp_path, 300)


def write(tmp_path, count):
    words = [f"w{n}" for n in range(300)]
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL_NAMES, *words]) + "\n")
    rng = random.Random(0)
    for name in "ab":
        with gzip.open(tmp_path / f"{name}.jsonl.gz", "wt") as stream:
            for number in range(count):
                text = [". ".join(rng.choices(words, k=8)) for _ in range(2 if number % 2 else 20)]
                stream.write(json.dumps({"text": ". ".join(text)}) + "\n")
    return tmp_path


def arguments(corpus, **options):
    inputs = tuple(str(corpus / f"{name}.jsonl.gz") for name in "ab")
    options = {"max_seq_length": 64, "held_out": 0.05, **options}
    return PrepareArguments(inputs, "jsonl", str(corpus / "vocab.txt"), **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"objective": "mlm_nsp"},
        {"objective": "mlm_nsp", "record_format": "bert", "dupe_factor": 2},
    ],
    ids=["mlm", "pairs", "bert"],
)
def test_estimates_are_near_what_becomes_of_the_corpus(corpus, options):
    given = arguments(corpus, **options)
    found = estimate(given)
    assert sorted(path.name for path in corpus.iterdir()) == [
        "a.jsonl.gz",
        "b.jsonl.gz",
        "vocab.txt",
    ]
    manifest = prepare.prepare(given, corpus / "out")
    near = 0.12
    assert found.documents == pytest.approx(manifest.num_documents, rel=near)
    assert found.tokens == pytest.approx(manifest.num_tokens, rel=near)
    assert found.rows == pytest.approx(manifest.num_rows, rel=near)
    shards = sum(shard.bytes for shard in manifest.shards)
    assert found.output_bytes == pytest.approx(shards, rel=near)
    assert found.disk_bytes > found.output_bytes and found.cpu_seconds > 0


def test_the_beginning_of_a_file_tells_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SAMPLE_BYTES", 400_000)
    given = arguments(write(tmp_path, 2000))
    found = estimate(given)
    assert found.sample_bytes < 1_500_000  # of more than 2 MB of text
    assert found.documents == pytest.approx(4000, rel=0.15)
    assert found.tokens == pytest.approx(4000 * 175, rel=0.15)


def test_of_many_small_files_more_are_looked_into(tmp_path):
    vocab = write(tmp_path, 1) / "vocab.txt"
    paths = []
    for number in range(100):
        paths.append(str(tmp_path / f"{number:03}.jsonl"))
        with open(paths[-1], "w") as stream:
            for _ in range(1 + 9 * (number % 3 == 0)):
                stream.write(json.dumps({"text": f"w{number} w1 w2"}) + "\n")
    given = PrepareArguments(tuple(paths), "jsonl", str(vocab))
    found = estimate(given)
    assert found.documents == pytest.approx(66 + 34 * 10, rel=0.2)


def test_a_dry_run_says_what_the_run_takes_and_writes_nothing(corpus, capsys):
    before = sorted(corpus.rglob("*"))
    command = ["prepare", "--input", str(corpus / "*.gz"), "--format", "jsonl", "--dry_run"]
    command += ["--vocab", str(corpus / "vocab.txt"), "--output", str(corpus / "deep/out")]
    assert cli.main([*command, "--workers", "2"]) == 0
    out = capsys.readouterr().out
    for pattern in (
        r"input: 2 files, [\d.]+ kB, in 1 task\n",
        r"about 600 documents, 105,000 tokens, \d+ rows",
        r"disk: about [\d.]+ [kM]B for the data set, [\d.]+ [kM]B while",
        r"time: about \d+ s with 2 workers, by .* nothing is written",
    ):
        assert re.search(pattern, out), (pattern, out)
    assert cli.main([*command, "--workers", "1"]) == 0
    assert "with 1 worker, by" in capsys.readouterr().out
    assert sorted(corpus.rglob("*")) == before


def test_a_corpus_that_the_disk_cannot_hold_is_refused_before_the_work(corpus, monkeypatch):
    monkeypatch.setattr(prepare, "SMALL_BYTES", 1)
    monkeypatch.setattr(module, "free_bytes", lambda path: 1000)
    with pytest.raises(UserError, match="of disk are needed and 1.0 kB are free there"):
        prepare.prepare(arguments(corpus), corpus / "out")
    assert not (corpus / "out").exists()
    prepare.prepare(arguments(corpus), corpus / "out", needs_space=False)


def test_options_that_leave_out_all_of_a_large_file_end_the_sample(corpus, monkeypatch):
    monkeypatch.setattr(module, "SEARCHED_BYTES", 20_000)
    monkeypatch.setattr("biobert_jax.corpus.readers.compressed.BUFFER_BYTES", 5000)
    monkeypatch.setattr(prepare, "SMALL_BYTES", 1)
    given = arguments(corpus, min_words=1000)
    with pytest.raises(NothingFound):
        estimate(given)
    # The run itself goes on without an estimate.
    with pytest.raises(UserError, match="no document is left to write"):
        prepare.prepare(given, corpus / "out")


def test_an_empty_sample_is_one_line(corpus):
    for name in "ab":
        (corpus / f"{name}.jsonl.gz").write_bytes(gzip.compress(b'{"text": " "}\n'))
    given = arguments(corpus)
    with pytest.raises(UserError, match="no document in what was sampled of 2 files"):
        estimate(given)


def test_a_small_file_that_is_bad_after_its_first_document(corpus):
    for name in "ab":
        content = b'{"text": "w1"}\n' + b"{\n" * 101
        (corpus / f"{name}.jsonl.gz").write_bytes(gzip.compress(content))
    given = arguments(corpus)
    assert estimate(given).documents == 2


def test_what_an_unfinished_run_holds_counts_as_free(tmp_path, monkeypatch):
    assert free_bytes(tmp_path / "not/yet") > 0
    monkeypatch.setattr(module, "free_bytes", lambda path: 1000)
    assert usable_bytes(tmp_path / "out") == 1000
    (tmp_path / "out/.work").mkdir(parents=True)
    (tmp_path / "out/.work/task-000000.documents").write_bytes(bytes(50))
    assert usable_bytes(tmp_path / "out") == 1050
