"""`biobert prepare` and `verify`: what shards hold; workers and deaths change nothing."""

import gzip
import json
import shutil

import numpy as np
import pytest

from biobert_jax import cli
from biobert_jax.corpus.dataset.manifest import read_manifest
from biobert_jax.corpus.readers import open_documents
from biobert_jax.corpus.text.tokenization import load_tokenizer
from biobert_jax.data.tfrecords import PreparedData
from tests.end_to_end.conftest import prepare_command

DESCRIPTIONS = ("corpus.html", "corpus.json", "dataset_info.json", "features.json", "inputs.json")


def rows_of(directory):
    """All rows of a data set, each a tuple of its features in the format's order."""
    import tensorflow as tf

    from biobert_jax.corpus.dataset.records import parse_rows

    manifest = read_manifest(directory)
    for shard in manifest.shards:
        for record in tf.data.TFRecordDataset(str(directory / shard.name)).batch(64):
            parsed = parse_rows(record, manifest.format)
            yield from zip(*(parsed[n].numpy() for n in manifest.format.features), strict=True)


def bytes_of(directory):
    return {p.name: p.read_bytes() for p in directory.iterdir() if p.suffix == ".tfrecord"}


def assert_same_files(expected, found):
    """All but the times of the inputs."""
    assert sorted(p.name for p in found.iterdir()) == sorted(p.name for p in expected.iterdir())
    for path in expected.iterdir():
        if path.name != "inputs.json":
            assert (found / path.name).read_bytes() == path.read_bytes(), path.name


def write_jsonl(path, corpus, copies=1):
    documents = list(open_documents(corpus / "abstracts.xml", "pubmed"))
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        for copy in range(copies):
            for document in documents:
                line = {"id": f"{copy}-{document.id}", "text": "\n".join(document.passages)}
                stream.write(json.dumps(line) + "\n")
    return path


def test_whether_text_is_lower_cased_is_said_kept_and_used_again(tmp_path, capsys):
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, "Aspirin", "aspirin"]
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens))
    (tmp_path / "in.txt").write_text("Aspirin ASPIRIN aspirin\n")

    def prepared(vocab, name, *more):
        command = ["prepare", "--input", tmp_path / "in.txt", "--format", "text", "--vocab", vocab]
        command += ["--workers", "1", "--held_out", "0", "--output", tmp_path / name, *more]
        code = cli.main([str(word) for word in command])
        return code, capsys.readouterr().err

    code, message = prepared(tmp_path / "vocab.txt", "no")
    assert code == 1 and "cased or not? 1 of 28 pieces" in message and "--do_lower_case" in message
    assert prepared(tmp_path / "vocab.txt", "lower", "--do_lower_case", "yes")[0] == 0
    assert prepared(tmp_path / "lower/vocab.txt", "again")[0] == 0
    assert prepared(tmp_path / "vocab.txt", "cased", "--do_lower_case", "no")[0] == 0
    for name, unknown in (("lower", 0), ("again", 0), ("cased", 1)):
        manifest = read_manifest(tmp_path / name)
        assert manifest.tokenizer["do_lower_case"] is (not unknown)
        assert manifest.statistics["unknown_tokens"] == unknown
    # The same files otherwise read are another data set.
    assert (
        "another data set" in prepared(tmp_path / "vocab.txt", "cased", "--do_lower_case", "yes")[1]
    )


def test_every_token_of_the_corpus_is_in_the_rows(data, corpus, vocab):
    tokenizer = load_tokenizer(vocab)
    expected = np.zeros(tokenizer.vocab_size, int)
    count = 0
    for document in open_documents(corpus / "abstracts.xml", "pubmed"):
        count += 1
        for ids in tokenizer.encode_batch(document.passages):
            np.add.at(expected, ids, 1)
    manifest = read_manifest(data)
    assert manifest.num_documents == count and manifest.num_tokens == expected.sum()
    found = np.zeros(tokenizer.vocab_size, int)
    rows = sequences = real = 0
    for ids, numbers in rows_of(data):
        rows += 1
        sequences += int(numbers.max())
        real += int((numbers > 0).sum())
        np.add.at(found, ids[numbers > 0], 1)
    found[[tokenizer.special.cls, tokenizer.special.sep]] -= sequences
    np.testing.assert_array_equal(found, expected)
    assert (rows, sequences) == (manifest.num_rows, manifest.num_sequences)
    assert manifest.fill == pytest.approx(real / (rows * 64), abs=1e-4) and manifest.fill > 0.95


def test_any_number_of_workers_and_a_death_give_the_same_bytes(
    corpus, vocab, tmp_path, monkeypatch
):
    from biobert_jax.corpus.pipeline import prepare, tasks

    monkeypatch.setattr(tasks, "TASK_BYTES", 20_000)
    source = write_jsonl(tmp_path / "many.jsonl.gz", corpus, copies=2)
    unpacked = gzip.decompress(source.read_bytes())
    source = tmp_path / "many.jsonl"  # of which each worker reads its own range of bytes
    source.write_bytes(unpacked)

    def run(name, workers):
        command = ["prepare", "--input", str(source), "--format", "jsonl", "--vocab", str(vocab)]
        command += ["--max_seq_length", "64", "--workers", workers, "--shards", "3"]
        return cli.main([*command, "--output", str(tmp_path / name)])

    assert run("one", "1") == run("two", "2") == 0
    # A run that dies after its second task, then while it packs, then while it writes shards.
    for function, dies_at in (("encode_task", 3), ("pack_task", 2), ("shard_task", 2)):
        original, calls = getattr(prepare, function), []

        def dying(*arguments, original=original, calls=calls, dies_at=dies_at):
            calls.append(arguments)
            if len(calls) == dies_at:
                raise KeyboardInterrupt
            return original(*arguments)

        monkeypatch.setattr(prepare, function, dying)
        assert run("died", "1") == 130
        assert not (tmp_path / "died/manifest.json").exists()
        monkeypatch.setattr(prepare, function, original)
    assert run("died", "1") == 0
    expected = bytes_of(tmp_path / "one")
    assert len(expected) == 4
    assert bytes_of(tmp_path / "two") == expected and bytes_of(tmp_path / "died") == expected
    assert sorted(p.name for p in (tmp_path / "died").iterdir()) == sorted(
        [*expected, *DESCRIPTIONS, "manifest.json", "vocab.txt"]
    )


def test_a_held_out_document_stays_held_out_when_files_are_added(corpus, vocab, tmp_path):
    # Told from the tasks' tallies: the same document falls on the same side.
    from biobert_jax.corpus.text.fingerprints import is_held_out

    ids = [str(n) for n in range(4000)]
    share = np.mean([is_held_out(i, 0.1) for i in ids])
    assert 0.08 < share < 0.12
    assert [is_held_out(i, 0.1) for i in ids] == [is_held_out(i, 0.1) for i in ids]
    assert all(is_held_out(i, 0.2) for i in ids if is_held_out(i, 0.1))


def test_batches_are_the_same_on_any_number_of_hosts_and_after_a_seek(data):
    prepared = PreparedData(data)

    def take(count, **arguments):
        batches = prepared.train_batches(8, seed=3, **arguments)
        return [next(batches)["input_ids"] for _ in range(count)]

    whole = take(12)
    for hosts in (2, 4):
        parts = [take(12, host=host, num_hosts=hosts) for host in range(hosts)]
        for step in range(12):
            joined = np.concatenate([part[step] for part in parts])
            np.testing.assert_array_equal(joined, whole[step])
    np.testing.assert_array_equal(take(3, start_step=9), whole[9:])


def test_verify_finds_a_flipped_bit_and_training_refuses_it(data, tmp_path, capsys):
    from tests.end_to_end.conftest import pretrain_command

    shutil.copytree(data, tmp_path / "copy")
    assert cli.main(["verify", str(tmp_path / "copy")]) == 0
    victim = sorted((tmp_path / "copy").glob("train-*"))[1]
    content = bytearray(victim.read_bytes())
    content[1000] ^= 4
    victim.write_bytes(bytes(content))
    capsys.readouterr()
    assert cli.main(["verify", str(tmp_path / "copy")]) == 1
    assert victim.name in capsys.readouterr().err
    assert cli.main(pretrain_command(tmp_path / "copy", tmp_path / "run")) == 1
    assert victim.name in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_finished_set_is_left_alone_and_another_is_refused(
    data, vocab, corpus, capsys, monkeypatch
):
    before = bytes_of(data)
    assert cli.main(prepare_command(vocab, data)) == 0
    page = (data / "corpus.html").read_text()
    assert "<td>abstracts.xml<br></td>" in page and str(corpus) not in page
    # However the input is spelt.
    monkeypatch.chdir(corpus)
    command = prepare_command(vocab, data)
    command[2] = f"../{corpus.name}/./abstracts.xml"
    assert cli.main(command) == 0
    capsys.readouterr()
    assert cli.main(prepare_command(vocab, data, "--seed", "5")) == 1
    assert "holds another data set" in capsys.readouterr().err
    assert bytes_of(data) == before


def test_a_file_mended_while_the_run_was_stopped_is_read_again(
    vocab, tmp_path, monkeypatch, capsys
):
    from biobert_jax.corpus.pipeline import output

    for name in ("a", "b"):
        lines = [json.dumps({"text": f"{name} helps patient {n}."}) for n in range(30)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    intact = (tmp_path / "b.jsonl").read_text()

    def run(name):
        source = ["--input", str(tmp_path / "*.jsonl"), "--format", "jsonl", "--vocab", str(vocab)]
        more = ["--max_seq_length", "64", "--workers", "1", "--held_out", "0"]
        return cli.main(["prepare", *source, *more, "--output", str(tmp_path / name / "data")])

    assert run("expected") == 0
    # Dies after it moved the first shard into place, of the one file that could be read.
    (tmp_path / "b.jsonl").write_text(intact[:-1] + "?")
    with monkeypatch.context() as patch:
        patch.setattr(output, "render_report", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run("mended")
    assert bytes_of(tmp_path / "mended/data")
    (tmp_path / "b.jsonl").write_text(intact)
    assert run("mended") == 0
    assert_same_files(tmp_path / "expected/data", tmp_path / "mended/data")


@pytest.mark.parametrize(
    "more, message",
    [
        (["--licenses", "CC0"], "--licenses means nothing for --format jsonl, only for bioc, pmc"),
        (["--years", "1990-"], "--years means nothing for --format jsonl"),
        (["--years", "x"], "write FIRST-LAST"),
        (["--whole_word_mask"], "--whole_word_mask is for google's format"),
        (["--dupe_factor", "3"], "--dupe_factor is for sentence pairs"),
        (["--near_duplicates", "1"], "give a similarity below 1"),
        (["--near_duplicates", "0.8", "--duplicates", "keep"], "leave out --duplicates keep"),
        (["--record_format", "bert", "--objective", "mlm"], "use --objective mlm_nsp"),
        (["--objective", "mlm_nsp", "--sentence_splitter", "punkd"], "punkd"),
        (["--min_words", "9"], "left out: 1 short"),
    ],
)
def test_options_that_cannot_be_heeded_are_refused(vocab, tmp_path, capsys, more, message):
    (tmp_path / "a.jsonl").write_text('{"text": "Aspirin helps."}')
    command = ["prepare", "--input", str(tmp_path / "a.jsonl"), "--format", "jsonl"]
    command += ["--vocab", str(vocab), "--output", str(tmp_path / "out"), "--workers", "1"]
    assert cli.main([*command, *more]) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]
    # Nothing stands in the way of the corrected command.
    assert cli.main(command) == 0
