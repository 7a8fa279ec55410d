"""PubMedQA's questions: counts, pairs, faults; and that files of questions are told apart."""

import json
from collections import Counter

import pytest

from biobert_jax.errors import UserError
from biobert_jax.tasks.files.pubmedqa import read_pubmedqa
from biobert_jax.tasks.files.registry import read_examples

ASKED = {
    "QUESTION": "Does it help?",
    "CONTEXTS": ["We asked.", "It did."],
    "LONG_ANSWER": "It helps.",
    "final_decision": "yes",
}


def write(folder, value, name="x.json"):
    path = folder / name
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_it_has_the_published_counts(shared_data):
    path = shared_data / "qa/pubmedqa/ori_pqal.json"
    found = read_examples(path, "classification")
    assert Counter(example.labels for example in found) == {
        **{("yes",): 552, ("no",): 338},
        ("maybe",): 110,
    }
    whole = json.loads(path.read_text())
    for example in found:
        assert example.text == whole[example.id]["QUESTION"]
        assert all(text in example.pair for text in whole[example.id]["CONTEXTS"])
    official = json.loads((path.parent / "test_ground_truth.json").read_text())
    labels = {example.id: example.labels for example in found}
    assert all(labels[id_] == (answer,) for id_, answer in official.items())


def test_a_question_is_a_pair_without_its_conclusion(tmp_path):
    without = {key: value for key, value in ASKED.items() if key != "final_decision"}
    path = write(tmp_path, {"1": ASKED, "2": without})
    one, other = read_pubmedqa(path)
    assert (one.id, one.text, one.pair) == ("1", "Does it help?", "We asked. It did.")
    assert one.labels == ("yes",) and other.labels is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "not an object of questions by PMID"),
        ({"7": []}, 'question 7: no text in "QUESTION"'),
        ({"7": {**ASKED, "QUESTION": " "}}, 'question 7: no text in "QUESTION"'),
        ({"7": {**ASKED, "CONTEXTS": "We asked."}}, 'question 7: no list of texts in "CONTEXTS"'),
        ({"7": {**ASKED, "final_decision": "Yes"}}, "final_decision is 'Yes': give one of yes, no"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, value, words):
    path = write(tmp_path, value)
    with pytest.raises(UserError) as error:
        read_pubmedqa(path)
    assert str(error.value).startswith(f"{path}: ") and words in str(error.value)
    if value:
        faults = []
        found = read_pubmedqa(
            write(tmp_path, {**value, "8": ASKED}), fault=lambda *one: faults.append(one)
        )
        assert [example.id for example in found] == ["8"] and len(faults) == 1


def test_files_of_questions_are_told_apart(tmp_path):
    snippets = [{"text": "It did.", "document": "http://www.ncbi.nlm.nih.gov/pubmed/11"}]
    documents = [one["document"] for one in snippets]
    asked = {"id": "a", "type": "yesno", "body": "Does it help?", "exact_answer": "yes"}
    asked |= {"snippets": snippets, "documents": documents}
    article = {"context": "It did.", "qas": [{"id": "b", "question": "Does it?", "answers": "no"}]}
    files = {
        "bioasq.json": {"questions": [asked]},
        "squad.json": {"data": [{"title": "t", "paragraphs": [article]}]},
        "pubmedqa.json": {"1": ASKED},
    }
    found = {
        name: read_examples(write(tmp_path, value, name), "classification")[0]
        for name, value in files.items()
    }
    assert [one.labels for one in found.values()] == [("yes",), ("no",), ("yes",)]
    assert found["bioasq.json"].pair == "It did."
    line = {"question": "Does it?", "context": "It did.", "answers": ["It did"]}
    [question] = read_examples(write(tmp_path, line, "x.jsonl"), "qa")
    assert question.starts == (0,)


def test_abstracts_beside_bioasq_s_file_are_its_passages(tmp_path):
    asked = {"id": "a", "type": "factoid", "body": "What?", "exact_answer": [["COX-1"]]}
    asked |= {"snippets": [{"text": "COX-1"}], "documents": ["http://ncbi/pubmed/11"]}
    path = write(tmp_path, {"questions": [asked]})
    write(tmp_path, {"id": "11", "title": "Aspirin.", "text": "It binds COX-1."}, "abstracts.jsonl")
    [question] = read_examples(path, "qa")
    assert question.context == "Aspirin. It binds COX-1."
    assert question.context[question.starts[0] :].startswith("COX-1")


def test_a_name_that_says_no_format_is_one_line(tmp_path):
    path = write(tmp_path, {}, "x.questions")
    with pytest.raises(UserError) as error:
        read_examples(path, "qa")
    assert str(error.value) == (
        f"{path}: its name ends with none of .jsonl, .txt, .json: set data.format to one of jsonl, "
        "squad, bioasq"
    )
