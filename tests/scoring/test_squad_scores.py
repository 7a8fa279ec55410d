"""SQuAD's measures: the official results of two systems; details of the official scripts."""

import json

import pytest

from biobert_jax.scoring import squad
from biobert_jax.tasks.files.squad import read_squad


@pytest.mark.parametrize(
    ("name", "exact_match", "f1"),
    [("bert-ensemble-v1.1", 86.2062, 92.1956), ("match-lstm-v1.1", 67.635, 76.756)],
)
def test_official_results(name, exact_match, f1, shared_data):
    questions = read_squad(shared_data / "qa/squad/dev-v1.1.json")
    gold = {question.id: list(question.answers) for question in questions}
    predictions = json.loads((shared_data / f"oracle/squad/{name}.json").read_text())
    found = squad.score(gold, predictions)
    assert found["num_questions"] == 10570
    assert round(100 * found["exact_match"], 4 if exact_match == 86.2062 else 3) == exact_match
    assert round(100 * found["f1"], 4 if f1 == 92.1956 else 3) == f1


def test_answers_are_normalised():
    assert squad.normalize_answer("The  T-cell, an (old) one") == "tcell old one"
    assert squad.exact("The Cat.", "cat") == 1
    assert squad.overlap("the old cat", "old dog") == pytest.approx(0.5)


def test_no_answer_is_an_answer():
    found = squad.score({"1": [], "2": ["x"], "3": ["y"]}, {"1": "", "2": "", "3": "y"})
    assert found["exact_match"] == pytest.approx(2 / 3)
    assert (found["no_answer_f1"], found["has_answer_f1"]) == (1, 0.5)
    assert (found["num_no_answer"], found["num_has_answer"]) == (1, 2)


def test_a_missing_prediction_is_wrong_as_officially():
    found = squad.score({"1": ["x"], "2": ["y"]}, {"1": "x"})
    assert (found["exact_match"], found["num_missing"]) == (0.5, 1)
