"""`biobert validate`: what is wrong with a task's data, by file and line."""

import json

import pytest

from biobert_jax import cli
from biobert_jax.cli import VERBS
from tests.end_to_end.conftest import ROOT

SAMPLES = ROOT / "biobert_jax/quickstart/samples"


@pytest.fixture
def validate(capsys):
    def run(*arguments):
        code = cli.main(["validate", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err.splitlines()

    return run


@pytest.fixture
def folder(tmp_path):
    """A folder of files by name and content."""

    def write(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.tsv").write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("task", "name", "suffix"),
    [
        ("ner", "entities", "tsv"),
        ("classification", "relations", "tsv"),
        ("classification", "mentions", "jsonl"),
        ("classification", "topics", "jsonl"),
        ("classification", "pairs", "tsv"),
        ("qa", "questions", "json"),
    ],
)
def test_the_samples_have_no_errors(validate, task, name, suffix):
    files = [f"--{split}={n}.{suffix}" for split, n in (("train", "train"), ("eval", "devel"))]
    words = ("--task", task, "--data", SAMPLES / name, *files, f"--test=test.{suffix}")
    code, out, err = validate(*words)
    assert code == 0 and out.splitlines()[-1].startswith("0 errors")
    assert not [line for line in err if line.startswith("error")]
    assert "48" in out and "24" in out


def test_tagged_files(validate, folder, tmp_path):
    train = "a\tB-Drug\nb\tO\n\nc\tO\n\na\tO\nb\tO\n\n"
    test = "a\tB-Drog\nb\tO\n\nc\tO\n"
    words = ("--task", "ner", "--data", folder(train=train, test=test, devel=""))
    code, out, err = validate(*words, "--json", tmp_path / "found.json")
    assert code == 1
    assert any(
        "test.tsv:1: label 'B-Drog' is in no training file (did you mean 'B-Drug'" in x for x in err
    )
    assert any(
        "train.tsv:6: stood before (1 such in train.tsv, 1 of them with other labels)" in x
        for x in err
    )
    assert any("test.tsv:1: is in train.tsv too (2 such in test.tsv)" in x for x in err)
    assert any("devel.tsv: 0 bytes" in x and x.startswith("warning") for x in err)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["counts"]["train"]["labels"] == {"B-Drug": 1, "O": 4}
    assert len(found["errors"]) == 1


def test_annotated_documents(validate, tmp_path):
    def abstract(id_, title, text, *mentions):
        whole = f"{title} {text}"
        rows = [
            f"{id_}\t{whole.index(m)}\t{whole.index(m) + len(m)}\t{m}\t{type_}\n"
            for m, type_ in mentions
        ]
        return f"{id_}|t|{title}\n{id_}|a|{text}\n{''.join(rows)}\n"

    drug = ("Aspirin", "Drug")
    train = abstract("1", "Aspirin and more.", "It helps. A lot.", drug, ("Aspirin and", "Drug"))
    test = abstract("1", "Aspirin, again.", "Nobody knows.", drug)
    test += abstract("2", "Gout.", "Aspirin helps.", drug, ("Gout", "Disease"))
    (tmp_path / "train.PubTator").write_text(train)
    (tmp_path / "test.PubTator").write_text(test + "2\t0\t4\tgouty\tDisease\n")
    files = ("--train=train.PubTator", "--test=test.PubTator", "--eval=")
    code, out, err = validate("--task", "ner", "--data", tmp_path, *files)
    assert code == 1
    assert [line for line in err if "error" in line] == [
        f"error: {tmp_path}/test.PubTator:10: mention 'gouty', but the text has 'Gout' at 0 to 4",
        f"error: {tmp_path}/test.PubTator:5: label 'B-Disease' is in no training file",
    ]
    assert [line for line in err if "warning" in line] == [
        f"warning: {tmp_path}/train.PubTator: mentions that share words with a longer one: left "
        "out (1 of 2)",
        f"warning: {tmp_path}/test.PubTator:1: document 1 is in train.PubTator too (1 document and "
        "2 examples such in test.PubTator)",
    ]
    assert "train         3  B-Drug 1, I-Drug 1, O" in out


def test_texts(validate, folder):
    train = "one\t1\ntwo\t1\n"
    data = folder(train=train, test="index\tsentence\n0\tone\n")
    code, _, err = validate("--task", "classification", "--data", data, "--eval=")
    assert code == 1
    assert any("train.tsv: nothing to learn: the labels are 1" in line for line in err)
    assert any("test.tsv: no labels: can be predicted, not scored" in line for line in err)


def test_every_fault_of_a_file_is_listed(validate, tmp_path):
    good = {"id": "a", "text": "t", "label": "x"}
    lines = [good, {"id": "b"}, {"id": "c", "label": "y"}, good, {**good, "id": "d", "label": "y"}]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    words = ("--task", "classification", "--data", tmp_path, "--train=train.jsonl", "--eval=")
    code, out, err = validate(*words, "--test=")
    errors = [line for line in err if line.startswith("error")]
    assert code == 1 and len(errors) == 3
    assert all(f"train.jsonl:{n}" in line for n, line in zip((2, 3, 4), errors, strict=True))
    assert "y 1" in out


def test_every_fault_of_a_tagged_file_is_listed(validate, folder):
    data = folder(train="a\tB\nb\n\nc\tQ\n", test="a\n\nb\n")
    code, _, err = validate("--task", "ner", "--data", data, "--eval=")
    assert code == 1
    assert [line.partition(": ")[2] for line in err[:2]] == [
        f"{data}/train.tsv:2: one column, 'b', where a word and its label were expected; separate "
        "them by a tab or a space",
        f"{data}/train.tsv:4: label 'Q' is none of B, I, O, E, S, L, U, alone or as in B-Disease: "
        "mend the file, or check that labels are the last column",
    ]
    assert any("test.tsv: no labels: can be predicted, not scored" in line for line in err)
    code, _, err = validate("--task", "ner", "--data", data, "--train=test.tsv", "--test=")
    assert f"error: {data}/test.tsv:1: no labels" in err


def test_questions_that_are_not_read_are_said(validate, tmp_path):
    asked = [
        {
            "id": kind,
            "type": kind,
            "body": "?",
            "snippets": [{"text": "yes"}],
            "exact_answer": "yes",
        }
        for kind in ("factoid", "yesno")
    ]
    (tmp_path / "train.json").write_text(json.dumps({"questions": asked}))
    words = ("--task", "qa", "--data", tmp_path, "--train=train.json", "--eval=", "--test=")
    _, _, err = validate(*words)
    assert err.count(f"warning: {tmp_path}/train.json: 1 yesno question: left out") == 1


def test_questions(validate, tmp_path):
    def asked(id_, answer, start):
        return {
            "id": id_,
            "question": "Which?",
            "answers": [{"text": answer, "answer_start": start}],
        }

    questions = [asked("1", "drug", 2), asked("2", "moon", 0)]
    content = {"data": [{"title": "t", "paragraphs": [{"context": "a drug", "qas": questions}]}]}
    (tmp_path / "train.json").write_text(json.dumps(content))
    words = ("--task", "qa", "--data", tmp_path, "--train=train.json", "--eval=", "--test=")
    code, _, err = validate(*words)
    assert code == 0
    assert any("the answer is not in its context (1 of 2 questions)" in line for line in err)
    assert validate(*words, "--strict")[0] == 1


def test_files_that_are_not_there(validate, tmp_path):
    code, _, err = validate("--task", "ner", "--data", tmp_path)
    assert code == 1 and sum("no such file" in line for line in err) == 3
    code, _, err = validate("--task", "ner", "--data", tmp_path / "none")
    assert code == 1 and "no such folder" in err[-1]
    assert "validate" in VERBS
