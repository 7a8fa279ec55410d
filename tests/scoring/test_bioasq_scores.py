"""BioASQ's measures: the official result of BioBERT's own submission; small cases by hand."""

import json

import pytest

from biobert_jax.scoring import bioasq


def test_the_official_result(shared_data):
    golden = json.loads((shared_data / "oracle/bioasq/6B1_golden.json").read_text())
    sent = json.loads((shared_data / "oracle/bioasq/BioASQform_BioASQ-answer.json").read_text())
    gold = {q["id"]: q["exact_answer"] for q in golden["questions"] if q["type"] == "factoid"}
    answers = {q["id"]: [a[0] for a in q["exact_answer"]] for q in sent["questions"]}
    found = bioasq.score_factoid(gold, answers)
    rounded = [round(found[n], 4) for n in ("strict_accuracy", "lenient_accuracy", "mrr")]
    assert rounded == [0.3871, 0.6774, 0.4876] and found["num_questions"] == 31


def test_factoid_answers_are_ranked():
    gold = {"a": [["TNF", "tumor necrosis factor"]], "b": [["IL6"]], "c": [["x"]]}
    answers = {"a": ["il6", "Tumor  Necrosis Factor"], "b": ["IL6"], "c": [*"qwert", "x"]}
    found = bioasq.score_factoid(gold, answers)
    assert found["strict_accuracy"] == pytest.approx(1 / 3)
    assert found["lenient_accuracy"] == pytest.approx(2 / 3)
    assert found["mrr"] == pytest.approx((0.5 + 1) / 3)


def test_two_names_of_one_thing_count_once():
    gold = {"a": [["TNF", "cachectin"], ["IL6"]]}
    found = bioasq.score_list(gold, {"a": ["tnf", "cachectin", "IL1", "IL6"]})
    assert (found["precision"], found["recall"]) == (0.5, 1)
    assert found["f1"] == pytest.approx(2 / 3)


def test_yes_and_no():
    gold = {"a": "yes", "b": "yes", "c": "no", "d": "no"}
    found = bioasq.score_yesno(gold, {"a": "Yes", "b": "no", "c": "no"})
    assert found["accuracy"] == 0.5
    assert found["yes_f1"] == pytest.approx(2 / 3)
    assert found["no_f1"] == pytest.approx(0.5)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 0.5) / 2)
