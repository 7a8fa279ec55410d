"""The whole way with a SentencePiece vocabulary, by the commands that users call."""

import json

import numpy as np

from biobert_jax import cli
from biobert_jax.checkpoints.load import load_checkpoint
from biobert_jax.checkpoints.tree import flatten
from tests.end_to_end.conftest import CORPUS, ner_command, prepare_command, pretrain_command


def test_from_a_vocabulary_to_a_converted_tagger(tmp_path, capsys):
    def run(*words):
        assert cli.main([str(word) for word in words]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    # Of the size of the other tests' vocabulary, so that the programs are theirs.
    vocab, source = tmp_path / "sp.model", ["--input", CORPUS / "abstracts.xml"]
    more = ["--format", "pubmed", "--kind", "sentencepiece", "--size", "800"]
    run("vocab", *source, *more, "--output", vocab)
    run(*prepare_command(vocab, tmp_path / "data"))
    run("verify", tmp_path / "data")
    run(*pretrain_command(tmp_path / "data", tmp_path / "pretrained"))
    run(*ner_command(tmp_path / "pretrained", tmp_path / "tagger"))
    test = ["--data", CORPUS / "test.tsv"]
    table = run("evaluate", "--checkpoint", tmp_path / "tagger", *test)

    notes = (CORPUS / "notes.txt").read_bytes().decode()
    predict = ["--input", CORPUS / "notes.txt", "--checkpoint"]
    document = json.loads(run("predict", *predict, tmp_path / "tagger"))
    assert document["text"] == notes and document["entities"]
    for entity in document["entities"]:
        assert notes[entity["start"] : entity["end"]] == entity["text"]

    convert = ["convert", "--from", tmp_path / "tagger", "--to", tmp_path / "converted"]
    run(*convert, "--format", "orbax")
    ours, theirs = (load_checkpoint(tmp_path / name) for name in ("tagger", "converted"))
    before, after = flatten(ours.params), flatten(theirs.params)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[path], after[path]) for path in before)
    assert theirs.vocab.read_bytes() == vocab.read_bytes()
    assert run("evaluate", "--checkpoint", tmp_path / "converted", *test) == table
