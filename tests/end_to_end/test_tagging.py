"""Fine-tuning, scoring, tagging and conversion by their commands, on the embedded corpus."""

import json
import re
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from biobert_jax import cli
from biobert_jax.checkpoints import load
from biobert_jax.checkpoints.tree import flatten
from biobert_jax.predict.tagger import EntityTagger, RawDocument
from tests.end_to_end.conftest import ner_command


def test_what_finetuning_writes(tagger, corpus, tmp_path, capsys):
    scores = json.loads((tagger / "scores.json").read_text())
    assert scores["examples"] == 400 and 0 <= scores["test"]["f1"] <= 1
    card = (tagger / "README.md").read_text()
    assert f"{scores['test']['f1']:.4f}" in card and "conlleval" in card
    assert cli.main(["evaluate", "--predictions", str(tagger / "predictions.conll")]) == 0
    from_file = capsys.readouterr().out
    test = str(corpus / "test.tsv")
    out = str(tmp_path / "again.json")
    command = ["evaluate", "--checkpoint", str(tagger), "--data", test, "--json", out]
    assert cli.main(command) == 0
    assert capsys.readouterr().out == from_file
    again = json.loads((tmp_path / "again.json").read_text())
    assert again.pop("num_shared") == 0
    assert set(again) == set(scores["test"])
    # Probabilities differ in their last bits, by the batch that they are computed in.
    same = set(again) - {"calibration", "mistakes"}
    assert all(again[name] == scores["test"][name] for name in same)


def test_the_predictions_hold_every_word_of_the_test_file(tagger, corpus):
    words = [x.split()[0] for x in (corpus / "test.tsv").read_text().splitlines() if x.strip()]
    lines = (tagger / "predictions.conll").read_text().splitlines()
    assert [line.split()[0] for line in lines if line] == words


def test_finetuning_resumes_bit_for_bit(tagger, pretrained, tmp_path):
    command = ner_command(pretrained, tmp_path / "run", "--config.train.keep_checkpoints=9")
    assert cli.main(command) == 0
    shutil.rmtree(tmp_path / "run/checkpoints/6")
    assert cli.main(command) == 0
    ours, theirs = (flatten(load.load_checkpoint(p).params) for p in (tmp_path / "run", tagger))
    assert all(np.array_equal(ours[path], theirs[path]) for path in theirs)


def test_a_head_is_taken_over_by_its_labels(tagger, corpus, tmp_path, capsys, monkeypatch):
    class Stop(Exception):
        pass

    def stop(state, **_):
        raise Stop(np.asarray(state.params["classifier"]["kernel"]))

    monkeypatch.setattr("biobert_jax.tasks.finetune.loop.run", stop)
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for name in ("train.tsv", "devel.tsv", "test.tsv"):
        text = (corpus / name).read_text(encoding="utf-8")
        (renamed / name).write_text(re.sub(r"(?m)\b([BI])-(\w+)$", r"\1-New\2", text))
    old = load.load_checkpoint(tagger)
    for data, is_kept in ((corpus, True), (renamed, False)):
        command = ner_command(tagger, tmp_path / data.name, f"--config.data.dir={data}")
        with pytest.raises(Stop) as stopped:
            cli.main(command)
        (kernel,) = stopped.value.args
        assert kernel.shape == old.params["classifier"]["kernel"].shape
        assert np.array_equal(kernel, old.params["classifier"]["kernel"]) == is_kept
        said = [line for line in capsys.readouterr().err.splitlines() if "anew" in line]
        assert bool(said) != is_kept
    assert old.labels[1] in said[0] and old.labels[1].replace("-", "-New") in said[0]


def test_html_and_json_lines_from_one_run(tagger, corpus, tmp_path, capsys):
    outputs = [str(tmp_path / "tagged.jsonl"), str(tmp_path / "tagged.html")]
    command = ["predict", "--checkpoint", str(tagger), "--input", str(corpus / "notes.txt")]
    assert cli.main([*command, "--output", outputs[0], "--output", outputs[1]]) == 0
    [document] = map(json.loads, (tmp_path / "tagged.jsonl").read_text().splitlines())
    text = (corpus / "notes.txt").read_bytes().decode()
    assert document["text"] == text
    assert document["entities"], "six steps are enough to tag something"
    for entity in document["entities"]:
        assert text[entity["start"] : entity["end"]] == entity["text"]
        assert 0 < entity["score"] <= 1
    page = (tmp_path / "tagged.html").read_text()
    assert page.startswith("<!DOCTYPE html>") or page.startswith("<!doctype html>")
    assert "µg" in page and "http" not in page.replace("http-equiv", "")
    capsys.readouterr()
    assert cli.main(command) == 0
    assert json.loads(capsys.readouterr().out) == document


@pytest.fixture(scope="module")
def loaded(tagger):
    return EntityTagger(tagger, batch_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text(st.characters(), max_size=200), min_size=1, max_size=4))
@example(["Aspirin \ud83d for\udc00 colitis"])
def test_offsets_hold_on_any_text(loaded, texts):
    documents = [RawDocument(str(n), text) for n, text in enumerate(texts)]
    tagged = list(loaded.tag(documents))
    assert [d.text for d in tagged] == texts
    for document in tagged:
        end = 0
        for entity in document.entities:
            assert end <= entity.start < entity.end
            assert document.text[entity.start : entity.end] == entity.text
            end = entity.end


def test_a_document_is_tagged_the_same_alone_and_among_others(loaded, corpus):
    paragraphs = (corpus / "notes.txt").read_text().split("\n\n")
    documents = [RawDocument(str(n), text) for n, text in enumerate(paragraphs)]
    together = [d.entities for d in loaded.tag(documents)]
    assert [d.entities for d in loaded.tag(paragraphs)] == together
    alone = [d.entities for document in documents for d in loaded.tag([document])]
    for one, other in zip(together, alone, strict=True):
        spans = [[(e.start, e.end, e.type) for e in entities] for entities in (one, other)]
        assert spans[0] == spans[1]


def test_conversion_there_and_back_tags_the_same(tagger, corpus, tmp_path, capsys):
    hf, back = str(tmp_path / "hf"), str(tmp_path / "orbax")
    convert = ["convert", "--from", str(tagger), "--to", hf, "--format", "hf"]
    assert cli.main(convert) == 0
    assert cli.main(["convert", "--from", hf, "--to", back, "--format", "orbax"]) == 0
    lengths = [load.load_checkpoint(p).max_seq_length for p in (tagger, hf, back)]
    assert lengths == [64, 64, 64]
    before, after = (flatten(load.load_checkpoint(p).params) for p in (tagger, back))
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[path], after[path]) for path in before)
    capsys.readouterr()
    results = []
    for checkpoint in (str(tagger), hf, back):
        command = ["predict", "--checkpoint", checkpoint, "--input", str(corpus / "notes.txt")]
        assert cli.main(command) == 0
        results.append(json.loads(capsys.readouterr().out)["entities"])
    spans = [[(e["start"], e["end"], e["type"]) for e in entities] for entities in results]
    assert spans[0] == spans[1] == spans[2]


def test_configs_in_a_hugging_face_folder_are_complete(tagger, tmp_path):
    hf = tmp_path / "hf"
    assert cli.main(["convert", "--from", str(tagger), "--to", str(hf), "--format", "hf"]) == 0
    config = json.loads((hf / "config.json").read_text())
    assert config["architectures"] == ["BertForTokenClassification"]
    assert config["id2label"]["0"] == "O" and "B-Drug" in config["label2id"]
    assert json.loads((hf / "tokenizer_config.json").read_text())["do_lower_case"] is False


def test_probabilities_are_calibrated_on_what_was_held_out(tagger, corpus, tmp_path, capsys):
    scores = json.loads((tagger / "scores.json").read_text())
    assert scores["calibration"]["fitted_on"] == "devel.tsv"
    options = load.load_checkpoint(tagger).options
    assert options["temperature"] == scores["calibration"]["temperature"]
    assert options["temperature"] == scores["test"]["calibration"]["temperature"]
    assert {"ece_before", "ece_after", "bins"} <= set(scores["test"]["calibration"])
    assert sum(scores["test"]["errors"].values()) >= scores["test"]["num_gold"]
    command = ["predict", "--checkpoint", str(tagger), "--input", str(corpus / "notes.txt")]
    counts = []
    for least in (0.0, 0.2, 1.0):
        capsys.readouterr()
        assert cli.main([*command, "--min_score", str(least)]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        found = [entity["score"] for line in lines for entity in line["entities"]]
        assert all(score >= least - 1e-4 for score in found)
        counts.append(len(found))
    assert counts == sorted(counts, reverse=True)
    best = max(precision for _, precision in options["precision_curve"] or [(0, 0)])
    if best < 1:
        assert cli.main([*command, "--target_precision", "1"]) == 1
        assert "entities were at most" in capsys.readouterr().err


def test_what_was_never_calibrated_has_no_target(pretrained, tmp_path, corpus, capsys):
    words = ner_command(pretrained, tmp_path / "run", "--config.data.eval=")
    assert cli.main([*words, "--config.train.num_steps=1"]) == 0
    assert "data.eval is not set: probabilities are not calibrated" in capsys.readouterr().err
    command = ["predict", "--checkpoint", str(tmp_path / "run"), "--target_precision", "0.9"]
    assert cli.main([*command, "--input", str(corpus / "notes.txt")]) == 1
    assert "not calibrated: fine-tune with data.eval" in capsys.readouterr().err
