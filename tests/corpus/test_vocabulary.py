"""Vocabularies: the sample they are trained on, their layout, their report, the verb's errors."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from biobert_jax import cli, files
from biobert_jax.corpus.text import vocabulary
from biobert_jax.corpus.text.fingerprints import is_held_out
from biobert_jax.corpus.text.tokenization import SPECIAL_NAMES, load_tokenizer
from biobert_jax.corpus.text.vocabulary import draw_sample
from biobert_jax.corpus.text.vocabulary_report import measure_fit
from biobert_jax.corpus.text.vocabulary_trainers import (
    count_words,
    train_sentencepiece,
    train_wordpiece,
)
from biobert_jax.errors import UserError

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFG0123456789-"


def write_jsonl(path, texts, start=0):
    lines = (json.dumps({"id": f"d{i}", "text": t}) for i, t in enumerate(texts, start))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def write_corpus(path, num_documents, seed=0, start=0):
    """Words with a long tail and many equal counts, so that ties between merges are common."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(LETTERS, k=rng.randint(1, 9))) for _ in range(3000)]
    texts = (
        " ".join(words[int(rng.paretovariate(0.6)) % 3000] for _ in range(60))
        for _ in range(num_documents)
    )
    return write_jsonl(path, texts, start)


def draw(inputs, sample_bytes, held_out=0.0, seed=0):
    return draw_sample(inputs, "jsonl", sample_bytes=sample_bytes, held_out=held_out, seed=seed)


def run(*words):
    return cli.main(["vocab", *map(str, words)])


@pytest.fixture
def fails(capsys):
    """Runs the verb, which must fail with one line, and returns the line."""

    def check(*words):
        assert run(*words) == 1
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: ")
        return lines[0]

    return check


def test_the_sample_does_not_depend_on_the_order_of_documents(tmp_path):
    path = tmp_path / "a.jsonl"
    write_corpus(path, 500)
    first = draw([str(path)], 30_000)
    lines = path.read_text().splitlines(keepends=True)
    random.Random(1).shuffle(lines)
    path.write_text("".join(lines))
    assert draw([str(path)], 30_000) == first
    assert draw([str(path)], 30_000, seed=1).documents != first.documents


def test_the_sample_fills_its_budget_and_larger_ones_contain_it(tmp_path):
    path = write_corpus(tmp_path / "a.jsonl", 500)
    longest = max(map(len, draw([path], 10**9).documents))
    small, large = draw([path], 20_000), draw([path], 60_000)
    for sample, budget in ((small, 20_000), (large, 60_000)):
        assert budget - longest <= sum(map(len, sample.documents)) <= budget
    assert large.documents[: len(small.documents)] == small.documents
    assert small.num_documents == 500 and len(draw([path], 10**9).documents) == 500


def test_the_sample_is_spread_over_files_and_their_ends(tmp_path):
    paths = [write_jsonl(tmp_path / f"{f}.jsonl", [f"{f} {i}" for i in range(400)], f * 400)
             for f in range(6)]  # fmt: skip
    total = draw(paths, 10**6).num_bytes
    documents = [tuple(map(int, d.split())) for d in draw(paths, total // 4).documents]
    for file in range(6):
        numbers = [i for f, i in documents if f == file]
        assert 60 < len(numbers) < 140
        assert 20 < sum(i < 200 for i in numbers) < 80


def test_of_many_files_enough_are_read_and_always_the_same(tmp_path):
    paths = [write_corpus(tmp_path / f"{f:02}.jsonl", 20, f, f * 20) for f in range(40)]
    sample = draw(paths, 20_000)
    assert vocabulary.ENOUGH_FILES <= sample.num_files < 40
    assert vocabulary.ENOUGH_TEXT * 20_000 <= sample.num_bytes
    assert draw(paths[::-1], 20_000) == sample
    assert draw(paths, 20_000, seed=1) != sample
    assert draw(paths, 10**9).num_files == 40


def test_held_out_documents_are_those_of_prepare_and_never_trained_on(tmp_path):
    texts = [f"text number {i}" for i in range(1000)]
    path = write_jsonl(tmp_path / "a.jsonl", texts)
    expected = {i for i in range(1000) if is_held_out(f"d{i}", 0.1)}
    assert 60 < len(expected) < 140
    assert {i for i in range(1000) if is_held_out(f"d{i}", 0.01)} < expected
    for seed in (0, 1):
        sample = draw([path], 10**6, held_out=0.1, seed=seed)
        assert {int(d.split()[-1]) for d in sample.held_out} == expected
        assert {int(d.split()[-1]) for d in sample.documents} == set(range(1000)) - expected
    # blake2b of the id, as `biobert prepare` splits: documents must not change sides.
    assert [i for i in range(200) if is_held_out(f"d{i}", 0.02)] == [3, 4, 75, 143]


def test_one_long_document_takes_a_small_part_and_no_broken_character(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", ["é" * 50_001, *("short text" for _ in range(50))])
    sample = draw([path], 20_001)
    assert len(sample.documents) == 51
    assert max(map(len, sample.documents)) == 1000
    for document in sample.documents:
        document.decode("utf-8")


def test_memory_stays_flat_when_the_corpus_grows(tmp_path):
    line = json.dumps({"id": "%s", "text": "word " * 400})
    peaks = []
    for number, megabytes in enumerate((6, 60)):
        path = tmp_path / f"{number}.jsonl"
        with open(path, "w") as stream:
            for i in range(megabytes * 500):
                stream.write(line % i + "\n")
        code = (
            "import resource, sys\n"
            "from biobert_jax.corpus.text.vocabulary import draw_sample\n"
            "s = draw_sample([sys.argv[1]], 'jsonl', sample_bytes=2 << 20, held_out=.1, seed=0)\n"
            "print(s.num_bytes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
        )
        num_bytes, peak = map(int, done.stdout.split())
        assert num_bytes > megabytes * 0.99e6
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 4 << 10  # KiB; the corpora differ by 54 MB.


def test_wordpiece_layout(tmp_path):
    [*documents] = draw([write_corpus(tmp_path / "a.jsonl", 200)], 10**6).documents
    tokens = train_wordpiece(documents, 500)
    assert tokens[:5] == list(SPECIAL_NAMES) and len(tokens) == len(set(tokens)) == 500
    singles = [t for t in tokens if len(t) == 1]
    insides = [t for t in tokens if len(t) == 3 and t.startswith("##")]
    assert tokens[5 : 5 + len(singles) + len(insides)] == sorted(singles) + sorted(insides)
    assert set(singles) == set(LETTERS) and "##-" not in insides  # A hyphen is its own word.
    assert len(train_wordpiece([b"one small text"], 500)) < 40


def test_the_alphabet_is_bounded_and_by_frequency():
    rare = "".join(map(chr, range(0x0370, 0x0600)))
    documents = [b"the cell of the cells " * 9, " ".join(rare).encode()]
    tokens = train_wordpiece(documents, 200)
    assert len(tokens) <= 200
    assert sum(len(t) == 1 for t in tokens) == 50
    assert set("thecelofs") <= set(tokens) and "the" in tokens


def test_lowercase_vocabularies_are_uncased_whatever_the_text(tmp_path):
    # U+03D2 has no lower case and stays upper-case in folded text.
    documents = ["Héart ϒϒ Ⅳ ABC the HEART 𝐀 IL-2 ".encode() * 50]
    (tmp_path / "vocab.txt").write_text("\n".join(train_wordpiece(documents, 100, lowercase=True)))
    (tmp_path / "sp.model").write_bytes(train_sentencepiece(documents, 100, lowercase=True))
    for name in ("vocab.txt", "sp.model"):
        tokenizer = load_tokenizer(tmp_path / name)
        assert not tokenizer.cased
        assert tokenizer.encode_batch(["HEART abc"]) == tokenizer.encode_batch(["heart ABC"])
        assert tokenizer.special.unk not in tokenizer.encode_batch(["heart abc il-2"])[0]


def test_words_are_berts():
    text = "IL-2 (IL-2) naïve 10±2 Naïve 中文a x\u00adyz\u0301".encode()
    assert count_words([text, text]) == {
        **{"IL": 4, "-": 4, "2": 4, "(": 2, ")": 2, "naïve": 2, "10±2": 2, "Naïve": 2},
        **{"中": 2, "文": 2, "a": 2, "xyz\u0301": 2},
    }
    assert count_words([text], lowercase=True)["naive"] == 2


def test_sentencepiece_layout(tmp_path):
    documents = [b"Aspirin reduces the risk of colitis and gastritis.\nA [S] [L] [K] [C] [M]"] * 50
    (tmp_path / "sp.model").write_bytes(train_sentencepiece(documents, 150))
    tokenizer = load_tokenizer(tmp_path / "sp.model")
    assert tokenizer.special == (0, 1, 2, 3, 4) and tokenizer.cased
    [ids] = tokenizer.encode_batch(["[CLS] Aspirin [MASK]"])
    assert ids and not set(ids) & set(tokenizer.special)


@pytest.mark.parametrize("kind", ["wordpiece", "sentencepiece"])
def test_the_same_inputs_and_seed_give_the_same_bytes(kind, tmp_path):
    """In processes of their own: hash maps differ between them."""
    source = write_corpus(tmp_path / "a.jsonl", 400)
    contents = set()
    for number in range(4):
        output = tmp_path / f"{number}.{'txt' if kind == 'wordpiece' else 'model'}"
        command = ["vocab", "--input", source, "--format", "jsonl", "--size", "700"]
        command += ["--kind", kind, "--sample_mb", "0.1", "--output", str(output)]
        environment = {**os.environ, "PYTHONHASHSEED": str(number)}
        subprocess.run([sys.executable, "-m", "biobert_jax", *command], env=environment, check=True)
        contents.add(output.read_bytes())
    assert len(contents) == 1


def test_the_fit_is_counted_by_occurrence(tmp_path):
    tokens = [*SPECIAL_NAMES, "the", "heart", "##s", "s", "."]
    (tmp_path / "vocab.txt").write_text("\n".join(tokens))
    fit = measure_fit([b"the hearts. The s\nthe"], load_tokenizer(tmp_path / "vocab.txt"))
    # Words: the hearts . The s the; all lower-case tokens, so the vocabulary is uncased.
    assert fit.size == 10 and not fit.cased
    assert fit.words_covered == 1 and fit.words_whole == 5 / 6
    assert fit.pieces_per_word == 7 / 6 and fit.tokens_per_mb == 7 / 21 * 1e6
    assert fit.characters_covered == 3 / 17  # . s s, and the s of hearts
    fit = measure_fit(["the α the β".encode()], load_tokenizer(tmp_path / "vocab.txt"))
    assert fit.words_covered == 0.5


def test_fewer_tokens_than_asked_for_are_explained(tmp_path, capsys):
    source = ["--input", write_corpus(tmp_path / "a.jsonl", 300), "--format", "jsonl"]
    assert run(*source, "--size", 9000, "--output", tmp_path / "a.txt") == 0
    assert ", cased (9,000 asked: no more in the text)" in capsys.readouterr().out


def test_the_verb_prints_a_table_and_writes_a_report(tmp_path, capsys):
    source = ["--input", write_corpus(tmp_path / "a.jsonl", 300), "--format", "jsonl"]
    assert run(*source, "--size", 300, "--held_out", 0.1, "--output", tmp_path / "a.txt") == 0
    assert "a.txt: 300 tokens, cased\n" in capsys.readouterr().out
    more = ["--kind", "sentencepiece", "--compare", tmp_path / "a.txt", "--held_out", 0.1]
    assert run(*source, "--size", 200, *more, "--output", tmp_path / "b.model") == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 5 and "b.model (cased)" in out[3] and "a.txt (cased)" in out[4]
    report = json.loads((tmp_path / "b.model.report.json").read_text())
    assert [fit["kind"] for fit in report["held_out"]] == ["sentencepiece", "wordpiece"]
    assert report["sample"]["documents"] + report["sample"]["held_out_documents"] == 300
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        *("a.jsonl", "a.txt", "a.txt.report.json", "b.model", "b.model.report.json")
    ]


def test_errors_are_one_line_and_leave_nothing(fails, tmp_path):
    source = ["--input", write_jsonl(tmp_path / "a.jsonl", ["Some text."]), "--format", "jsonl"]
    output = ["--output", tmp_path / "out.txt"]
    assert "ends in .model" in fails(*source, *output, "--kind", "sentencepiece")
    assert "must not end in .model" in fails(*source, "--output", tmp_path / "out.model")
    assert "--sample_mb 0:" in fails(*source, *output, "--sample_mb", 0)
    assert "--held_out 1:" in fails(*source, *output, "--held_out", 1)
    assert "--seed -1:" in fails(*source, *output, "--seed", -1)
    assert "no such vocabulary" in fails(*source, *output, "--compare", tmp_path / "none.txt")
    assert "no file matches" in fails("--input", tmp_path / "*.x", "--format", "jsonl", *output)
    (tmp_path / "empty.jsonl").write_text("")
    empty = ["--input", tmp_path / "empty.jsonl", "--format", "jsonl"]
    assert "holds no text" in fails(*empty, *output)
    assert "all held out" in fails(*source, *output, "--held_out", 0.9999999)
    (tmp_path / "bad.jsonl").write_text('{"text"\n')
    bad = ["--input", tmp_path / "bad.jsonl", "--format", "jsonl"]
    assert "bad.jsonl:1:" in fails(*bad, *output)
    (tmp_path / "there.txt").write_text("x")
    assert "exists" in fails(*source, "--output", tmp_path / "there.txt")
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {"a.jsonl", "empty.jsonl", "bad.jsonl", "there.txt"}


def test_bad_lines_are_left_out_and_named(tmp_path, capsys):
    (tmp_path / "a.jsonl").write_text('{"text": "Some text."}\n{"text": null}\n')
    source = ["--input", tmp_path / "a.jsonl", "--format", "jsonl", "--held_out", 0]
    assert run(*source, "--output", tmp_path / "out.txt") == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: left out: ") and 'a.jsonl:2: "text" must be a string' in line
    assert (tmp_path / "out.txt").exists()


def test_what_cannot_end_well_is_refused_before_any_reading(fails, tmp_path, monkeypatch):
    source = ["--input", write_jsonl(tmp_path / "a.jsonl", ["Some text."]), "--format", "jsonl"]
    (tmp_path / "b.txt.report.json").mkdir()

    def read(*_, **__):
        pytest.fail("the corpus was read")

    monkeypatch.setattr(vocabulary, "draw_sample", read)
    assert "--size 99:" in fails(*source, "--output", tmp_path / "b", "--size", 99)
    for output in ("a.jsonl/v.txt", "a.jsonl/deep/v.txt", "b.txt", "n" * 250):
        assert "cannot be written (" in fails(*source, "--output", tmp_path / output)
    monkeypatch.undo()
    assert "all held out" in fails(
        *source, "--output", tmp_path / "new/deep/v.txt", "--held_out", 0.9999999
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.jsonl", "b.txt.report.json"]


def test_the_same_command_goes_on_after_a_kill_between_the_two_files(tmp_path, monkeypatch):
    source = ["--input", write_corpus(tmp_path / "a.jsonl", 100), "--format", "jsonl"]
    command = [*source, "--size", 200, "--output", tmp_path / "v.txt"]
    write, written = files.write_bytes_atomically, []

    def killed(path, content):
        if written:
            raise KeyboardInterrupt
        written.append(path)
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_bytes_atomically", killed)
        assert run(*command) == 130
    assert written and run(*command) == 0
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["a.jsonl", "v.txt", "v.txt.report.json"]
    report = json.loads((tmp_path / "v.txt.report.json").read_text())
    assert {fit["vocabulary"] for fit in report["held_out"]} == {str(tmp_path / "v.txt")}


def test_sizes_too_small():
    for train in (train_wordpiece, train_sentencepiece):
        with pytest.raises(UserError, match="--size 99: a vocabulary needs 100"):
            train([b"text"], 99)
    many = " ".join(map(chr, range(0x4E00, 0x4F00))).encode()
    with pytest.raises(UserError, match="--size 100: SentencePiece says: .*100"):
        train_sentencepiece([many], 100)


@pytest.mark.parametrize("kind", ["wordpiece", "sentencepiece"])
def test_ctrl_c_ends_the_training_at_once_and_leaves_nothing(kind, tmp_path):
    rng = random.Random(0)
    texts = ("".join(rng.choices(LETTERS + "    ", k=2000)) for _ in range(4000))
    source = write_jsonl(tmp_path / "a.jsonl", texts)
    output = tmp_path / ("out.model" if kind == "sentencepiece" else "out.txt")
    command = ["vocab", "--input", source, "--format", "jsonl", "--kind", kind]
    process = subprocess.Popen(
        [sys.executable, "-m", "biobert_jax", *command, "--output", str(output)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr.readline().startswith("training on")
    time.sleep(1)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) in (-signal.SIGINT, 130)
    assert time.monotonic() - started < 10
    assert [p.name for p in tmp_path.iterdir()] == ["a.jsonl"]
