"""`biobert evaluate`: types that differ, and where the scores are written."""

import json

import pytest

from biobert_jax import cli
from biobert_jax.predict import tagger


@pytest.fixture
def evaluate(capsys):
    def run(*arguments):
        code = cli.main(["evaluate", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


@pytest.fixture
def gold(tmp_path):
    path = tmp_path / "gold.tsv"
    path.write_text("deep vein\tB\nthrombosis\tI\nof\tO\nlegs\tB\n")
    return path


class _Tagger:
    labels = ("O", "B-Disease", "I-Disease")

    def __init__(self, checkpoint, batch_size):
        pass

    def label_words(self, sentences, progress):
        assert sentences == [("deep vein", "thrombosis", "of", "legs")]
        return [["B-Disease", "I-Disease", "O", "O"]]


def test_untyped_gold_is_taken_for_the_one_type_of_a_tagger(evaluate, gold, tmp_path, monkeypatch):
    monkeypatch.setattr(tagger, "EntityTagger", _Tagger)
    out = tmp_path / "new/scores.json"
    code, _, err = evaluate("--checkpoint", "x", "--data", gold, "--json", out)
    assert code == 0 and "have no type and are taken for Disease" in err
    scores = json.loads(out.read_text())
    assert scores["precision"] == 1 and scores["recall"] == 0.5
    assert list(scores["by_type"]) == ["Disease"]
    assert evaluate("--checkpoint", "x", "--data", gold, "--ignore_types")[2] == ""


def test_types_without_one_in_common_are_said(evaluate, gold, tmp_path, monkeypatch):
    monkeypatch.setattr(tagger, "EntityTagger", _Tagger)
    monkeypatch.setattr(_Tagger, "labels", ("O", "B-Disease", "B-Drug"))
    out = tmp_path / "scores.json"
    command = ["--checkpoint", "x", "--data", gold, "--json", out]
    code, _, err = evaluate(*command)
    assert code == 0 and json.loads(out.read_text())["f1"] == 0
    assert "gold has the types (none), predictions have Disease, Drug: --ignore_types" in err
    code, _, err = evaluate(*command, "--ignore_types")
    assert code == 0 and err == ""
    assert json.loads(out.read_text())["f1"] == pytest.approx(2 / 3)


def test_scores_are_not_written_over_what_is_scored(evaluate, tmp_path):
    path = tmp_path / "p.conll"
    path.write_text("a B-X B-X\n")
    code, _, err = evaluate("--predictions", path, "--json", f"{tmp_path}/./p.conll")
    assert code == 1 and "is an input, which it would replace" in err
    assert path.read_text() == "a B-X B-X\n"


def test_a_name_that_cannot_be_is_refused_before_the_scoring(evaluate, tmp_path):
    (tmp_path / "file").touch()
    for name in ("x" * 300, "file/scores.json", "."):
        # The data are not even looked for.
        code, _, err = evaluate("--predictions", "none", "--json", tmp_path / name)
        assert code == 1 and "cannot be written" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("content", ["", "\n \n\n"])
def test_empty_files_are_named(evaluate, tmp_path, content):
    (tmp_path / "empty").write_text(content)
    code, _, err = evaluate("--predictions", tmp_path / "empty")
    assert code == 1 and "empty: no predictions" in err
    code, _, err = evaluate("--checkpoint", "x", "--data", tmp_path / "empty")
    assert code == 1 and "empty: no sentences" in err
