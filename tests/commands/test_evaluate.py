"""`biobert evaluate`: types that differ, and where the scores are written."""

import json

import pytest

from biobert_jax import cli
from biobert_jax.formats.faults import ignore
from biobert_jax.tasks import fitted
from biobert_jax.tasks.ner import TASK
from biobert_jax.tasks.ner_results import Tagged
from biobert_jax.tasks.rows import Encoded
from biobert_jax.tasks.task import Setting


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


class _Model:
    """A tagger that always finds the first two words."""

    labels = ("O", "B-Disease", "I-Disease")
    task = TASK
    types = ()

    def __init__(self, checkpoint, batch_size):
        options = {"format": "", "entity_type": "entity", "types": self.types}
        self.setting = Setting(self.labels, options, None, 128)

    def read(self, path, note=ignore):
        return TASK.read(path, self.setting.options, note)

    def predict(self, examples, progress):
        assert [e.words for e in examples] == [("deep vein", "thrombosis", "of", "legs")]
        return [Tagged(["B-Disease", "I-Disease", "O", "O"], [])], Encoded(None, {}, {})


def test_untyped_gold_is_taken_for_the_one_type_of_a_tagger(evaluate, gold, tmp_path, monkeypatch):
    monkeypatch.setattr(fitted, "FittedModel", _Model)
    out = tmp_path / "new/scores.json"
    code, _, err = evaluate("--checkpoint", "x", "--data", gold, "--json", out)
    assert code == 0 and "have no type and are taken for Disease" in err
    scores = json.loads(out.read_text())
    assert scores["precision"] == 1 and scores["recall"] == 0.5
    assert list(scores["by_type"]) == ["Disease"]
    assert "type" not in evaluate("--checkpoint", "x", "--data", gold, "--ignore_types")[2]


def test_types_without_one_in_common_are_said(evaluate, gold, tmp_path, monkeypatch):
    monkeypatch.setattr(fitted, "FittedModel", _Model)
    monkeypatch.setattr(_Model, "labels", ("O", "B-Disease", "B-Drug"))
    out = tmp_path / "scores.json"
    command = ["--checkpoint", "x", "--data", gold, "--json", out]
    code, _, err = evaluate(*command)
    assert code == 0 and json.loads(out.read_text())["f1"] == 0
    assert "gold has the types (none), predictions have Disease, Drug: --ignore_types" in err
    code, _, err = evaluate(*command, "--ignore_types")
    assert code == 0 and "match" not in err
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
def test_empty_files_are_named(evaluate, tmp_path, content, monkeypatch):
    monkeypatch.setattr(fitted, "FittedModel", _Model)
    (tmp_path / "empty").write_text(content)
    code, _, err = evaluate("--predictions", tmp_path / "empty")
    assert code == 1 and "empty: no predictions" in err
    code, _, err = evaluate("--checkpoint", "x", "--data", tmp_path / "empty")
    assert code == 1 and "empty: no sentences" in err


@pytest.fixture
def lines(tmp_path):
    """Writes a file and returns its path."""

    def write(name, *rows):
        path = tmp_path / name
        path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
        return path

    return write


def with_task(evaluate, task, gold, predictions, *more):
    words = ("--task", task, "--gold", gold, "--predictions", predictions, "--bootstrap", "20")
    return evaluate(*words, *more)


@pytest.mark.parametrize(
    ("name", "f1", "found", "correct", "pieces"),
    [("NCBI-disease", "88.0081", "1,008", "866", 2), ("BC5CDR-disease", "84.75", "4,595", "", 15)],
)
def test_another_programs_tags_get_the_official_score(
    evaluate, shared_data, name, f1, found, correct, pieces
):
    gold = shared_data / "ner" / name / "test.tsv"
    predictions = shared_data / f"oracle/ner/{name}.biobert.predictions.txt"
    code, out, err = with_task(evaluate, "ner", gold, predictions)
    assert code == 0 and f"{pieces} sentences stand in pieces there: joined" in err
    assert f1 in out and found in out and correct in out


def test_tags_without_types_on_one_side(evaluate, lines):
    gold = lines("gold.tsv", "deep\tB-Disease", "vein\tI-Disease", "", "legs\tB-Part")
    other = lines("other.txt", "legs B-MISC", "", "deep B-MISC", "vein I-MISC")
    code, out, err = with_task(evaluate, "ner", gold, other)
    assert code == 0 and "the predictions have no types: types are ignored" in err
    assert "100.0000" in out
    typed = lines("typed.txt", "legs B-X", "", "deep B-Y", "vein I-Y")
    code, out, err = with_task(evaluate, "ner", gold, typed)
    assert "no entity can match: gold has the types Disease, Part" in err
    code, out, err = with_task(evaluate, "ner", gold, typed, "--ignore_types")
    assert err == "" and "100.0000" in out
    code, out, err = with_task(evaluate, "ner", gold, lines("less.txt", "legs B"))
    assert code == 1 and "less.txt: sentence 1 (deep vein …) is not among the predictions" in err


def test_documents_are_compared_by_offsets(evaluate, lines, tmp_path):
    def entity(start, end):
        return {"start": start, "end": end, "type": "Drug"}

    gold = lines("gold.jsonl", json.dumps({"id": "1", "entities": [entity(0, 7), entity(10, 12)]}))
    found = lines("found.jsonl", json.dumps({"id": "1", "entities": [entity(0, 8)]}))
    out = tmp_path / "scores.json"
    assert with_task(evaluate, "ner", gold, found, "--json", out)[0] == 0
    scores = json.loads(out.read_text())
    assert scores["f1"] == 0 and scores["spans"]["within_1"]["recall"] == 0.5
    code, _, err = with_task(evaluate, "ner", gold, lines("none.jsonl", '{"id": "2"}'))
    assert code == 1 and "none.jsonl: no document '1' (1 are missing)" in err
    annotated = lines("gold.txt", "1|t|Aspirin", "1|a|x y", "1\t0\t7\tAspirin\tDrug\tD1")
    assert with_task(evaluate, "ner", annotated, gold, "--json", out)[0] == 0
    scores = json.loads(out.read_text())
    assert (scores["precision"], scores["recall"], scores["num_gold"]) == (0.5, 1.0, 1)
    tagged = lines("tagged.tsv", "Aspirin\tB", "")
    for pair in ((annotated, tagged), (tagged, annotated)):
        code, _, err = with_task(evaluate, "ner", *pair)
        assert code == 1 and "tagged words, but" in err


def test_probabilities_and_labels_of_texts(evaluate, lines, tmp_path):
    gold = lines("gold.tsv", "index\tsentence\tlabel", "0\ta b\t1", "1\tc d\t0", "2\te f\t1")
    shares = lines("test_results.tsv", "0.2\t0.8", "0.9\t0.1", "0.7\t0.3")
    out = tmp_path / "scores.json"
    arguments = ("--average", "binary", "--json", out)
    assert with_task(evaluate, "classification", gold, shares, *arguments)[0] == 0
    scores = json.loads(out.read_text())
    assert (scores["precision"], scores["recall"]) == (1, 0.5)
    assert scores["intervals"]["f1"][0] <= scores["f1"] <= scores["intervals"]["f1"][1]
    named = lines("named.tsv", "prediction", "1", "0", "0")
    assert with_task(evaluate, "classification", gold, named, *arguments)[0] == 0
    assert json.loads(out.read_text())["f1"] == scores["f1"]
    ours = lines("p.jsonl", *(json.dumps({"id": str(i), "labels": ["1"]}) for i in (2, 1, 0)))
    against = ("--against", shares)
    assert with_task(evaluate, "classification", gold, ours, *arguments, *against)[0] == 0
    assert json.loads(out.read_text())["against"]["recall"]["difference"] == 0.5
    code, _, err = with_task(evaluate, "classification", gold, lines("x", "1"))
    assert code == 1 and "1 lines for 3 gold examples" in err
    few = lines("few.jsonl", '{"id": "0", "label": "1"}')
    code, _, err = with_task(evaluate, "classification", gold, few)
    assert code == 1 and "no prediction for id '1' (2 are missing)" in err


def test_questions_without_an_answer_are_said(evaluate, lines, tmp_path):
    def asked(id_, kind, answer):
        return {"id": id_, "type": kind, "body": "Which?", "snippets": [], "exact_answer": answer}

    questions = [asked("a", "factoid", [["x"]]), asked("b", "factoid", [["y"]])]
    questions.append(asked("c", "yesno", "yes"))
    gold = lines("gold.json", json.dumps({"questions": questions}))
    sent = {"questions": [{"id": "a", "exact_answer": [["X"]]}, {"id": "z", "exact_answer": "no"}]}
    sent = lines("sent.json", json.dumps(sent))
    out = tmp_path / "scores.json"
    code, _, err = with_task(evaluate, "bioasq", gold, sent, "--json", out)
    assert code == 0 and json.loads(out.read_text())["strict_accuracy"] == 1
    assert "factoid: 1 of 2 questions without an answer: left out" in err
    assert "yesno: 1 questions, none answered: left out" in err
    assert "1 ids of no gold question: left out (z)" in err
    code, _, err = with_task(evaluate, "bioasq", gold, sent, "--json", out, "--unanswered", "wrong")
    assert json.loads(out.read_text())["strict_accuracy"] == 0.5


def test_numbers_of_pairs(evaluate, lines, tmp_path):
    gold = lines("g.tsv", "sentence1\tsentence2\tscore", "a\tb\t1.0", "c\td\t2.0", "e\tf\t4.0")
    out = tmp_path / "scores.json"
    numbers = lines("n.tsv", "1", "2", "3")
    assert with_task(evaluate, "similarity", gold, numbers, "--json", out)[0] == 0
    assert json.loads(out.read_text())["spearman"] == 1
    code, _, err = with_task(evaluate, "similarity", gold, lines("bad.tsv", "1", "x", "3"))
    assert code == 1 and "bad.tsv:2: 'x' is no number" in err


def test_options_that_do_not_go_together(evaluate, gold):
    assert evaluate("--task", "ner", "--gold", gold)[0] == 2
    assert evaluate("--gold", gold, "--predictions", gold)[0] == 2
    assert evaluate("--task", "ner", "--gold", gold, "--predictions", gold, "--data", gold)[0] == 2


def test_types_of_another_corpus_are_renamed(evaluate, lines, tmp_path, monkeypatch):
    monkeypatch.setattr(fitted, "FittedModel", _Model)
    labels = ("B-DISO", "I-DISO", "O", "B-ANAT")
    words = ("deep vein", "thrombosis", "of", "legs")
    gold = lines("gold.tsv", *("\t".join(pair) for pair in zip(words, labels, strict=True)))
    out = tmp_path / "scores.json"
    command = ["--checkpoint", "x", "--data", gold, "--json", out]
    code, _, err = evaluate(*command)
    assert code == 0 and "--map renames" in err
    code, _, err = evaluate(*command, "--map", "DISO=Disease")
    assert code == 0 and "the tagger does not know ANAT: what is of these can only" in err
    code, _, err = evaluate(*command, "--map", "DISO=Disease,ANAT=")
    assert code == 0 and "warning" not in err and json.loads(out.read_text())["f1"] == 1
    code, _, err = evaluate(*command, "--map", "DISO=Diseases")
    assert code == 1 and "the tagger has no type Diseases: did you mean Disease" in err
    code, _, err = evaluate(*command, "--map", "DISOO=Disease")
    assert code == 1 and "--map DISOO: no gold label has that type: did you mean DISO" in err


def test_what_training_saw_is_counted_and_left_out(evaluate, gold, lines, tmp_path, monkeypatch):
    monkeypatch.setattr(fitted, "FittedModel", _Model)
    out = tmp_path / "scores.json"
    command = ["--checkpoint", "x", "--data", gold, "--json", out]
    other = lines("train.tsv", "of\tO")
    code, _, err = evaluate(*command, "--training", f"{other},{gold}")
    assert code == 0 and "shared with the training files: 1 of 1 sentence" in err
    assert json.loads(out.read_text())["num_shared"] == 1
    code, _, err = evaluate(*command, "--training", gold, "--leave_out_shared")
    assert code == 1 and "nothing is left" in err
    code, _, err = evaluate(*command, "--leave_out_shared")
    assert code == 1 and "give them by --training" in err


def test_documents_that_training_saw_are_counted_and_left_out(evaluate, tmp_path, monkeypatch):
    monkeypatch.setattr(fitted, "FittedModel", _Model)
    monkeypatch.setattr(_Model, "predict", _found)
    gold, train = tmp_path / "gold.PubTator", tmp_path / "train.PubTator"
    documents = [
        f"{id_}|t|{text}\n{id_}\t0\t{len(word)}\t{word}\tDisease\n"
        for id_, text, word in (
            ("1", "Colitis is. It was.", "Colitis"),
            ("2", "Asthma is.", "Asthma"),
            ("3", "It was.", "It"),
        )
    ]
    gold.write_text("".join(documents))
    train.write_text("1|t|Another title.\n1\t0\t7\tAnother\tDisease\n" + documents[2])
    out = tmp_path / "scores.json"
    command = ["--checkpoint", "x", "--data", gold, "--json", out, "--training", train]
    code, _, err = evaluate(*command)
    assert code == 0
    # Both of document 1, and 3's, which is one of them word for word.
    assert "shared with the training files: 3 of 4 sentences, 2 of 3 documents by id\n" in err
    scores = json.loads(out.read_text())
    assert (scores["num_shared"], scores["num_shared_documents"]) == (3, 2)
    assert scores["num_gold"] == 3
    code, _, err = evaluate(*command, "--leave_out_shared")
    assert code == 0 and "2 of 3 documents by id: left out" in err
    assert json.loads(out.read_text())["num_gold"] == 1


def test_types_of_the_training_are_those_of_its_corpus_alone(evaluate, tmp_path, monkeypatch):
    """A tagger of data.types finds them under its own names elsewhere, or by --map."""
    monkeypatch.setattr(fitted, "FittedModel", _Model)
    monkeypatch.setattr(_Model, "predict", _found)
    monkeypatch.setattr(_Model, "types", ["Modifier=Disease"])
    gold = tmp_path / "gold.tsv"
    gold.write_text("colitis\tB-Disease\nin\tO\nman\tB-DISO\n")
    out = tmp_path / "scores.json"
    command = ["--checkpoint", "x", "--data", gold, "--json", out, "--training", gold]
    code, _, err = evaluate(*command)
    assert code == 0 and f"{gold}: 1 DISO mention: left out by data.types" in err
    assert json.loads(out.read_text())["num_gold"] == 1
    code, _, err = evaluate(*command, "--map", "DISO=Disease")
    assert code == 0 and json.loads(out.read_text())["num_gold"] == 2


def _found(self, examples, progress):
    """What finds nothing."""
    return [Tagged(["O"] * len(e.words), []) for e in examples], Encoded(None, {}, {})
