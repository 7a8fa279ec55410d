"""Question answering as a task: what it reads, scores, calibrates and writes."""

import dataclasses
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from biobert_jax.corpus.text.tokenization import load_tokenizer
from biobert_jax.errors import UserError
from biobert_jax.formats.faults import Lines
from biobert_jax.tasks import qa
from biobert_jax.tasks.answers import Answer, Candidate
from biobert_jax.tasks.files.examples import Question
from biobert_jax.tasks.questions import answer_pieces
from biobert_jax.tasks.task import Setting
from tests.tasks.test_qa_answers import gold_logits
from tests.tasks.test_qa_windows import OPTIONS, question, setting, tokenizer  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
SPLIT = ROOT / "benchmarks/split_questions.py"


def said(*texts, odds=0.0):
    """An answer with what is named, best first."""
    shares = np.linspace(0.9, 0.1, len(texts))
    n_best = [
        Candidate(text, 0, len(text), 1.0, 1.0, float(p))
        for text, p in zip(texts, shares, strict=True)
    ]
    return Answer(texts[0], tuple(n_best), odds)


def test_the_kind_of_questions_is_chosen(tmp_path):
    path = tmp_path / "questions.json"
    snippets = [{"text": "p53 causes cancer ."}]
    asked = [
        {"id": kind, "type": kind, "body": "?", "snippets": snippets, "exact_answer": [["p53"]]}
        for kind in ("factoid", "list")
    ]
    path.write_text(json.dumps({"questions": asked}))
    for kind, other in (("factoid", "list"), ("list", "factoid")):
        notes = Lines()
        found = qa.read(path, {**OPTIONS, "format": "", "answer_kind": kind}, notes.of(path))
        assert [q.group for q in found] == [kind]
        assert notes.shown() == [f"{path}: 1 {other} question: left out"]
    path.write_text(json.dumps({"questions": asked[:1]}))
    with pytest.raises(UserError) as error:
        qa.read(path, {**OPTIONS, "format": "", "answer_kind": "list"})
    assert str(error.value).startswith(f"{path}: its questions are of kind factoid")
    assert "data.answer_kind is list" in str(error.value)


def test_there_must_be_something_to_learn():
    with pytest.raises(UserError, match="nothing to learn: no question's passage holds its answer"):
        qa.labels([question("p53 is here", "EGFR")], OPTIONS)
    assert qa.labels([question("p53 is here", "p53")], OPTIONS) == ()


def test_what_is_cut_or_left_out_of_training_is_said(tokenizer):  # noqa: F811
    lost = dataclasses.replace(question("the gene", "p53", name="1"), where="a.json: question 1")
    asked = [Question("0", "which " * 99, "p53 is here", ("p53",), (0,)), lost]
    encoded = qa.encode(asked, setting(tokenizer), 0)
    assert encoded.notes == (
        "1 question longer than max_query_length: cut",
        "1 of 2 questions without the answer in the passage: not trained on; the first is "
        "a.json: question 1",
    )
    assert len(encoded.index.windows) == 1
    assert qa.encode(asked[1:], setting(tokenizer)).notes == ()


def test_squad_is_scored_with_its_kinds_apart():
    asked = [
        question("p53 causes cancer", "p53"),
        question("the gene", name="1", is_impossible=True),
        question("EGFR causes cancer", "EGFR", name="2"),
    ]
    options = Setting((), {**OPTIONS, "no_answer": True}, None, 32)
    scores = qa.score(asked, [said("the p53."), said(""), said("cancer", "EGFR")], options)
    assert scores["f1"] == scores["exact_match"] == pytest.approx(2 / 3)
    assert scores["no_answer_f1"] == 1 and scores["has_answer_f1"] == 0.5
    [mistake] = scores["mistakes"]
    assert mistake["id"] == "2" and mistake["gold"] == ["EGFR"]
    assert mistake["text"][mistake["start"] : mistake["end"]] == "EGFR c"  # the span that was given


def bioasq_questions(kind):
    names = (("p53", "TP53"), ("EGFR",)) if kind == "list" else (("p53", "TP53"),)
    return [
        question("TP53 causes cancer", "TP53", name="q_0", group="q", kind=kind, synonyms=names),
        question("EGFR is here", name="q_1", group="q", kind=kind, synonyms=names),
    ]


def test_bioasq_is_scored_by_question_over_its_passages(tmp_path):
    for kind, expected in (
        ("factoid", {"strict_accuracy": 0.0, "lenient_accuracy": 1.0, "mrr": 0.5}),
        ("list", {"precision": 2 / 3, "recall": 1.0, "f1": 0.8}),
    ):
        asked = bioasq_questions(kind)
        found = [said("cancer", "tp53"), said("cancer", "egfr")]
        options = Setting((), {**OPTIONS, "answer_kind": kind, "list_threshold": 0.05}, None, 32)
        scores = qa.score(asked, found, options)
        assert {name: scores[name] for name in expected} == pytest.approx(expected)
        assert scores["num_questions"] == 1 and len(scores["mistakes"]) == 2
        assert scores[qa.TASK.main_score(options.options)]
        qa.write(tmp_path, asked, found, options)
        [form] = json.loads((tmp_path / "BioASQform_BioASQ-answer.json").read_text())["questions"]
        assert form == {"type": kind, "id": "q", "exact_answer": [["cancer"], ["tp53"], ["egfr"]]}


def test_files_have_upstream_s_fields(tmp_path):
    asked = [question("p53 is here", "p53"), question("EGFR", name="1", is_impossible=True)]
    found = [said("p53", "is"), said("", "EGFR", odds=2.5)]
    qa.write(tmp_path, asked, found, Setting((), {**OPTIONS, "no_answer": True}, None, 32))
    read = {path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    assert set(read) == {"predictions.json", "nbest_predictions.json", "null_odds.json"}
    assert read["predictions.json"] == {"0": "p53", "1": ""}
    assert read["null_odds.json"] == {"0": 0.0, "1": 2.5}
    assert read["nbest_predictions.json"]["0"][1] == {
        **{"text": "is", "probability": pytest.approx(0.1)},
        **{"start_logit": 1.0, "end_logit": 1.0},
    }


def test_the_threshold_of_no_answer_is_fitted(tokenizer):  # noqa: F811
    asked = [
        question(f"{gene} causes cancer", *([] if none else [gene]), name=gene, is_impossible=none)
        for gene, none in (("p53", False), ("EGFR", False), ("x", True), ("y", True))
    ]
    options = setting(tokenizer, no_answer=True)
    encoded = qa.encode(asked, options)
    logits = gold_logits(encoded.index)
    for number, (null, best) in enumerate(((3, 9), (5, 9), (5, 4), (9, 3))):
        row, start = encoded.rows.places[number], encoded.rows.offsets[number]
        logits[row, start : start + 8] = 0
        logits[row, start] = null
        logits[row, start + 5] = best
    # Odds: -12, -8, 2 and 12: all but the first two have none.
    fitted, told = qa.calibrate(logits, encoded, asked, options)
    assert fitted == {"null_threshold": -8.0} and told["best_f1"] == 1
    kept = dataclasses.replace(options, options={**options.options, **fitted})
    answers = qa.decode(logits, encoded, asked, kept)
    assert [answer.text for answer in answers] == ["p53", "EGFR", "", ""]
    assert qa.calibrate(logits, encoded, asked, setting(tokenizer)) == ({}, {})


def test_squad_s_own_answers_come_back_from_their_places(shared_data):
    options = {**OPTIONS, "format": "squad", "stride": 128}
    asked = qa.read(shared_data / "qa/squad/dev-v1.1.json", options)
    assert len(asked) == 10570
    asked = asked[::20]
    vocabulary = load_tokenizer(shared_data / "vocab/biobert-cased")
    options = Setting((), options, vocabulary, 384)
    encoded = qa.encode(asked, options)
    answers = qa.decode(gold_logits(encoded.index), encoded, asked, options)
    parts, long = [], 0
    for one, passage, answer in zip(asked, encoded.index.passages, answers, strict=True):
        [(first, last)] = answer_pieces(one, passage)
        long += last - first >= options.options["max_answer_length"]
        if answer.text != one.answers[0] and last - first < options.options["max_answer_length"]:
            parts.append((one.answers[0], answer.text))
    # Parts of words: these files have the first place of an answer's letters ("gold" in "golden").
    assert all(answer in text and len(text) < len(answer) + 12 for answer, text in parts)
    assert len(parts) + long < 0.02 * len(asked)
    assert qa.score(asked, answers, options)["f1"] > 0.98


def split(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [str(SPLIT), *map(str, arguments)])
    runpy.run_path(str(SPLIT), run_name="__main__")


def test_squad_is_split_by_article(tmp_path, monkeypatch):
    articles = [
        {"title": name, "paragraphs": [{"context": name, "qas": [{"id": name}]}]} for name in "abcd"
    ]
    (tmp_path / "dev.json").write_text(json.dumps({"version": "1.1", "data": articles}))
    for folder in ("one", "other"):
        split(monkeypatch, "squad", tmp_path / "dev.json", tmp_path / folder, "--test", 1)
    read = {n: json.loads((tmp_path / f"one/{n}.json").read_text()) for n in ("train", "test")}
    assert {n: len(one["data"]) for n, one in read.items()} == {"train": 3, "test": 1}
    assert sorted(a["title"] for one in read.values() for a in one["data"]) == [*"abcd"]
    # SHA-256 of d begins with 18, of all others with more.
    assert read["test"]["data"][0]["title"] == "d" and read["test"]["version"] == "1.1"
    assert (tmp_path / "one/test.json").read_text() == (tmp_path / "other/test.json").read_text()


def test_pubmedqa_is_split_by_its_official_ids(shared_data, tmp_path, monkeypatch):
    folder = shared_data / "qa/pubmedqa"
    ids = folder / "test_ground_truth.json"
    split(monkeypatch, "pubmedqa", folder / "ori_pqal.json", tmp_path, "--ids", ids)
    read = {path.stem: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    assert {name: len(one) for name, one in read.items()} == {
        **{"train": 450, "devel": 50},
        "test": 500,
    }
    assert set(read["test"]) == set(json.loads(ids.read_text()))
    assert len(set().union(*read.values())) == 1000
