"""What a user gets wrong: one line that says what, where and what to do; nothing half-written."""

import gzip
import json
import shutil

import pytest

from biobert_jax import cli
from tests.end_to_end.conftest import NER, ner_command, prepare_command, pretrain_command


@pytest.fixture
def fails(capsys):
    """Runs a command that must fail, and returns its one line of error."""

    def run(command, code=1):
        capsys.readouterr()
        assert cli.main([str(word) for word in command]) == code
        errors = capsys.readouterr().err.strip().splitlines()
        lines = [line for line in errors if line.startswith("error: ")]
        assert len(lines) == 1 and "Traceback" not in "\n".join(errors), errors
        return lines[0]

    return run


def prepare(path, vocab, output, format="text", *more):
    return [
        *("prepare", "--input", path, "--format", format, "--vocab", vocab),
        *("--max_seq_length", "64", "--workers", "1", "--output", output, *more),
    ]


def test_inputs_that_are_not_there(fails, vocab, tmp_path):
    line = fails(prepare(tmp_path / "none.txt", vocab, tmp_path / "out"))
    assert "no such file" in line and "none.txt" in line
    line = fails(prepare(tmp_path / "*.xml", vocab, tmp_path / "out"))
    assert "no file matches" in line
    assert not (tmp_path / "out").exists()


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.txt"
    lines = [f"Aspirin helps {n}.\n\nIt is safe.\n" for n in range(40)]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def broken_files(tmp_path, corpus):
    whole = gzip.compress((corpus / "abstracts.xml").read_bytes())
    (tmp_path / "cut.xml.gz").write_bytes(whole[: len(whole) // 2])
    text = (corpus / "abstracts.xml").read_text(encoding="utf-8")
    first = text.index("</Article>")
    (tmp_path / "broken.xml").write_text(text[:first] + "<" + text[first:], encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes("Caf\u00e9 au lait\n".encode("latin-1"))
    (tmp_path / "bad.jsonl").write_text('\n{"id": 2,\n', encoding="utf-8")
    return [
        ("cut.xml.gz", "pubmed", "cut.xml.gz"),
        ("broken.xml", "pubmed", "broken.xml:"),
        ("latin.txt", "text", "latin.txt:1"),
        ("bad.jsonl", "jsonl", "bad.jsonl:2"),
    ]


def test_files_that_cannot_be_read_alone(fails, vocab, corpus, tmp_path):
    for name, format, where in broken_files(tmp_path, corpus):
        line = fails(prepare(tmp_path / name, vocab, tmp_path / "out" / name, format))
        assert where in line, line
        assert not (tmp_path / "out" / name / "manifest.json").exists()


def test_a_bad_file_is_named_and_the_good_ones_go_on(fails, vocab, good, corpus, tmp_path):
    broken_files(tmp_path, corpus)
    inputs = f"{good},{tmp_path / 'latin.txt'}"
    line = fails(prepare(inputs, vocab, tmp_path / "out"))
    assert "latin.txt:1" in line
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["num_documents"] == 41 and list(manifest["failed"]) == [
        str(tmp_path / "latin.txt")
    ]
    fails(prepare(inputs, vocab, tmp_path / "strict", "text", "--on_error", "fail"))
    assert not (tmp_path / "strict/manifest.json").exists()


def test_a_bad_line_is_left_out_and_named_or_stops_the_run(fails, vocab, tmp_path):
    lines = [f'{{"text": "Case {n} has epilepsy."}}' for n in range(40)]
    path = tmp_path / "late.jsonl"
    path.write_text("\n".join([*lines, '{"text": null}', '{"text": "He has colitis."}']))
    line = fails(prepare(path, vocab, tmp_path / "strict", "jsonl", "--on_error", "fail"))
    assert 'late.jsonl:41: "text" must be a string, not null' in line
    assert not (tmp_path / "strict/manifest.json").exists()
    line = fails(prepare(path, vocab, tmp_path / "out", "jsonl"))
    assert "left out: " in line and "late.jsonl:41: " in line
    assert json.loads((tmp_path / "out/manifest.json").read_text())["num_documents"] == 41


def test_pairs_of_a_single_document_are_warned_of(vocab, tmp_path, capsys):
    path = tmp_path / "one.txt"
    path.write_text("First sentence here.\nSecond sentence follows.\n")
    pairs = ["--objective", "mlm_nsp", "--held_out", "0"]

    def warning(name):
        command = prepare(path, vocab, tmp_path / name, "text", *pairs)
        assert cli.main([str(word) for word in command]) == 0
        lines = capsys.readouterr().err.splitlines()
        return [line for line in lines if line.startswith("warning: ")]

    (line,) = warning("one")
    assert "of 1 of 1 documents" in line and "come from the same document" in line
    path.write_text(path.read_text() + "\nThe heart pumps blood.\n")
    assert not warning("two")


def test_a_file_too_large_for_the_memory_is_named_and_the_others_are_read(
    fails, vocab, good, tmp_path, monkeypatch
):
    from biobert_jax.corpus.pipeline import encode

    original = encode.open_documents

    def reading(path, *arguments, **options):
        if path.endswith("huge.txt"):
            raise MemoryError
        yield from original(path, *arguments, **options)

    (tmp_path / "huge.txt").write_text("Huge.")
    monkeypatch.setattr(encode, "open_documents", reading)
    line = fails(prepare(f"{tmp_path / 'huge.txt'},{good}", vocab, tmp_path / "out"))
    assert "huge.txt: too large for this machine's memory" in line
    assert json.loads((tmp_path / "out/manifest.json").read_text())["num_documents"] == 41


def test_another_format_is_refused_by_name(fails, vocab, corpus, tmp_path):
    xml = corpus / "abstracts.xml"
    for format, reason in (("text", "use --format pubmed"), ("jsonl", "use --format pubmed")):
        line = fails(prepare(xml, vocab, tmp_path / "out", format))
        assert f"{xml}: this is PubMed XML: {reason}" in line
    line = fails(prepare(corpus / "train.tsv", vocab, tmp_path / "out"))
    assert "words and labels in columns" in line
    assert not (tmp_path / "out/manifest.json").exists()


def test_what_is_whole_before_a_fault_is_kept(fails, vocab, corpus, tmp_path):
    whole = (corpus / "abstracts.xml").read_text(encoding="utf-8")
    (tmp_path / "joined.xml").write_text(whole + whole, encoding="utf-8")
    line = fails(prepare(tmp_path / "joined.xml", vocab, tmp_path / "out", "pubmed"))
    assert "joined.xml:" in line and "split them" in line
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["num_documents"] == whole.count("<PubmedArticle>")

    # Nothing of a file whose bytes are in doubt, and the cause comes first.
    (tmp_path / "cut.xml.gz").write_bytes(gzip.compress(whole.encode())[:-4])
    line = fails(prepare(tmp_path / "cut.xml.gz", vocab, tmp_path / "none", "pubmed"))
    assert line.startswith(f"error: {tmp_path / 'cut.xml.gz'}: ") and "no document is left" in line


def test_empty_documents_are_counted_and_an_empty_corpus_refused(fails, vocab, tmp_path, capsys):
    (tmp_path / "some.jsonl").write_text('{"text": " "}\n{"text": "Aspirin."}\n')
    assert (
        cli.main([str(w) for w in prepare(tmp_path / "some.jsonl", vocab, tmp_path / "a", "jsonl")])
        == 0
    )
    assert "1 empty left out" in capsys.readouterr().out
    (tmp_path / "empty.txt").write_text("")
    assert "no document is left" in fails(prepare(tmp_path / "empty.txt", vocab, tmp_path / "b"))


def test_vocabularies(fails, good, tmp_path):
    assert "no such vocabulary" in fails(prepare(good, tmp_path / "v.txt", tmp_path / "out"))
    (tmp_path / "v.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n")
    assert "has no [MASK]" in fails(prepare(good, tmp_path / "v.txt", tmp_path / "out"))


def test_config_keys_and_values(fails, data, tmp_path):
    run = tmp_path / "run"
    for override, message in [
        ("data.batchsize=3", "did you mean 'data.batch_size'"),
        ("optimiser.name=x", "did you mean 'optimizer'"),
        ("optimizer.name=bert_adam", "did you mean 'bert_adamw'"),
        ("train.num_steps=ten", "takes int, not 'ten'"),
        ("model.hidden_size=33", "not a multiple"),
        ("data.batch_size=", "takes int"),
        ("model=3", "is a group"),
        ("seed.x=3", "has no keys below it"),
        ("masking.rate=2", "must lie in"),
        ("data.batch_size=0", "at least 1"),
        ("model.hidden_dropout_prob=1", "must lie in"),
        ("model.num_attention_heads=0", "at least 1"),
        ("seed=-1", "seed is -1"),
        ("data.dir=s3://bucket/data", "only local paths"),
        ("optimizer.warmup_steps=8", "warmup_steps 8 is not below the run's 8 steps"),
        ("model.attention=flash", "model.attention is 'flash'"),
    ]:
        line = fails(pretrain_command(data, run, f"--config.{override}"))
        assert message in line, line
    assert not run.exists()
    assert "has no option --batch" in fails([*pretrain_command(data, run), "--batch=3"], code=2)


def test_config_files(fails, data, tmp_path):
    def command(config):
        return ["pretrain", "--config", config, "--workdir", tmp_path / "run"]

    assert "no such file" in fails(command(tmp_path / "none.py"))
    (tmp_path / "bad.py").write_text("def get_config(:\n")
    assert "SyntaxError" in fails(command(tmp_path / "bad.py"))
    (tmp_path / "empty.py").write_text("x = 1\n")
    assert "no get_config" in fails(command(tmp_path / "empty.py"))
    line = fails(["finetune", "--config", f"{NER}:ncbi", "--workdir", tmp_path / "run"])
    assert "no preset 'ncbi'" in line and "ncbi_disease" in line


def test_checkpoints(fails, data, pretrained, corpus, tmp_path):
    run = tmp_path / "run"
    line = fails(pretrain_command(data, run, f"--config.init={tmp_path / 'none'}"))
    assert "no such checkpoint" in line
    line = fails(
        pretrain_command(data, run, f"--config.init={pretrained}", "--config.model.hidden_size=64")
    )
    assert "hidden_size 32, the config says 64" in line
    line = fails(
        pretrain_command(data, run, f"--config.init={pretrained}", "--config.model.hidden_act=relu")
    )
    assert "hidden_act gelu, the config says relu" in line
    line = fails(["predict", "--checkpoint", pretrained, "--input", corpus / "notes.txt"])
    assert "cannot tag" in line and "biobert finetune" in line
    assert "no finished checkpoint" in fails(ner_command(corpus, run))
    assert not run.exists()


def test_a_workdir_of_another_config_is_refused(fails, data, pretrained):
    line = fails(pretrain_command(data, pretrained, "--config.seed=7"))
    assert "seed was 0, is 7" in line
    line = fails(pretrain_command(data, pretrained, "--config.train.num_steps=4"))
    assert "is at step 8, beyond the 4 steps" in line


def test_every_tagged_file_is_read_before_the_checkpoint(fails, corpus, tmp_path):
    for name in ("train.tsv", "devel.tsv", "test.tsv"):
        shutil.copy(corpus / name, tmp_path / name)
    command = ner_command(tmp_path / "none", tmp_path / "run", f"--config.data.dir={tmp_path}")
    for name, odd in (
        ("devel.tsv", "lonely"),
        ("test.tsv", "colitis\tB_X"),
        ("train.tsv", "a\tB_"),
    ):
        content = (tmp_path / name).read_text()
        (tmp_path / name).write_text(content + odd + "\n")
        assert f"{name}:{len(content.splitlines()) + 1}: " in fails(command)
        (tmp_path / name).write_text(content)
    (tmp_path / "test.tsv").unlink()
    assert "test.tsv: no such file" in fails(command)
    shutil.copy(corpus / "test.tsv", tmp_path / "test.tsv")
    (tmp_path / "train.tsv").write_text("He O\n")
    assert "train.tsv: there is no entity to learn from" in fails(command)
    assert not (tmp_path / "run").exists()


def test_labels_that_training_never_saw_are_named_before_it(tmp_path, capsys):
    for name, last in (
        ("train", "epilepsy B-Disease"),
        ("devel", "a I-Disease"),
        ("test", "a B-X"),
    ):
        (tmp_path / f"{name}.tsv").write_text(f"He O\nhas O\n{last}\n")
    command = ner_command(tmp_path / "none", tmp_path / "run", f"--config.data.dir={tmp_path}")
    assert cli.main(command) == 1
    warnings = [x for x in capsys.readouterr().err.splitlines() if x.startswith("warning: ")]
    assert [(x.split(":")[1], x.split("labels ")[1].split(":")[0]) for x in warnings] == [
        (f" {tmp_path}/devel.tsv", "I-Disease"),
        (f" {tmp_path}/test.tsv", "B-X"),
    ]
    # Labels without a type are named as they will be in every output.
    (tmp_path / "test.tsv").write_text("p53 S\n")
    assert cli.main([*command, "--config.data.entity_type=Gene"]) == 1
    assert "has the labels S-Gene" in capsys.readouterr().err


def test_results_that_cannot_be_written_are_found_before_the_training(fails, pretrained, tmp_path):
    (tmp_path / "run/scores.json").mkdir(parents=True)
    line = fails(ner_command(pretrained, tmp_path / "run"))
    assert "run/scores.json: cannot be written" in line
    assert not (tmp_path / "run/checkpoints").exists()


def test_convert_never_overwrites(fails, tagger, tmp_path):
    convert = ["convert", "--from", tagger, "--to", tmp_path, "--format", "hf"]
    assert "exists" in fails(convert)


def test_an_unfinished_data_set_is_not_trained_on(fails, vocab, tmp_path):
    (tmp_path / "out/.work").mkdir(parents=True)
    line = fails(pretrain_command(tmp_path / "out", tmp_path / "run"))
    assert "was not finished" in line
    (tmp_path / "out/.work/fingerprint").write_text("of other arguments")
    assert "unfinished run with other inputs" in fails(prepare_command(vocab, tmp_path / "out"))


@pytest.mark.parametrize("verb", ["vocab", "verify", "predict", "evaluate", "convert"])
def test_ctrl_c_leaves_nothing_behind(verb, tagger, data, corpus, tmp_path, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    # Each where it is in the middle of its work.
    for target in (
        "biobert_jax.corpus.text.vocabulary.open_documents",
        "biobert_jax.corpus.dataset.manifest.check_shards",
        "biobert_jax.tasks.fitted.run_rows",
        "biobert_jax.checkpoints.huggingface._write_json",
    ):
        monkeypatch.setattr(target, interrupt)
    out = str(tmp_path / "out.jsonl")
    abstracts = ["--input", str(corpus / "abstracts.xml"), "--format", "pubmed"]
    notes = ["--input", str(corpus / "notes.txt")]
    command = {
        "vocab": [*abstracts, "--output", out],
        "verify": [str(data)],
        "predict": ["--checkpoint", str(tagger), *notes, "--output", out],
        "evaluate": ["--checkpoint", str(tagger), "--data", str(corpus / "test.tsv")],
        "convert": ["--from", str(tagger), "--to", str(tmp_path / "hf"), "--format", "hf"],
    }[verb]
    capsys.readouterr()
    assert cli.main([verb, *command]) == 130
    said = f"interrupted after 0 documents: {out}: not written"
    assert capsys.readouterr().err.splitlines()[-1] == (
        said if verb == "predict" else "interrupted"
    )
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_said_and_the_rerun_finishes(fails, good, vocab, tmp_path, monkeypatch):
    import errno

    from biobert_jax.corpus.pipeline import shards

    def full(path, records):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(shards, "write_tfrecords", full)
        assert "no space left" in fails(prepare(good, vocab, tmp_path / "out"))
    assert not (tmp_path / "out/manifest.json").exists()
    command = [str(word) for word in prepare(good, vocab, tmp_path / "out")]
    assert cli.main(command) == 0
    assert cli.main(["verify", str(tmp_path / "out")]) == 0
