"""BioASQ's own JSON: counts of the real files, answers found in passages, abstracts, faults."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.errors import UserError
from biobert_jax.tasks.files.answers import occurrences
from biobert_jax.tasks.files.bioasq import (
    questions_of,
    read_abstracts,
    read_bioasq,
    read_bioasq_yes_no,
)
from biobert_jax.tasks.files.squad import read_squad


def question(kind="factoid", answer=None, snippets=("COX-1 and cox-1",), id="q", **more):
    values = {"id": id, "type": kind, "body": "what?", "snippets": [{"text": s} for s in snippets]}
    return values | ({} if answer is None else {"exact_answer": answer}) | more


def write(tmp_path, *questions, name="x.json"):
    path = tmp_path / name
    path.write_text(json.dumps({"questions": list(questions)}), encoding="utf-8")
    return path


def test_golden_files_have_the_published_counts(shared_data):
    kinds, ids, factoid = Counter(), set(), set()
    for number in range(1, 6):
        path = shared_data / f"qa/bioasq/6B{number}_golden.json"
        asked = list(questions_of(path))
        assert len(asked) == 100
        kinds.update(q.kind for q in asked)
        ids |= {q.id for q in asked}
        found = read_bioasq(path)
        assert {q.group for q in found} == {q.id for q in asked if q.kind in ("factoid", "list")}
        factoid |= {q.group for q in found if q.kind == "factoid"}
        raw = {q["id"]: q for q in json.loads(path.read_text(encoding="utf-8"))["questions"]}
        for q in found:
            assert q.context in {s["text"] for s in raw[q.group]["snippets"]}
            assert q.synonyms
        yes_no = read_bioasq_yes_no(path)
        assert {e.group: e.labels[0] for e in yes_no} == {
            id_: q["exact_answer"].lower() for id_, q in raw.items() if q["type"] == "yesno"
        }
        same = read_squad(shared_data / f"qa/bioasq/BioASQ-test-factoid-6b-{number}.json")
        assert {q.group for q in same} == {q.group for q in found if q.kind == "factoid"}
    assert kinds == {"yesno": 130, "factoid": 161, "summary": 138, "list": 71}
    assert len(ids) == 500


@pytest.mark.parametrize(
    ("name", "kind", "questions", "answered"),
    [("train-factoid-6b-native", "factoid", 618, 409), ("train-list-native", "list", 413, 380)],
)
def test_lists_of_training_questions(shared_data, name, kind, questions, answered):
    found = read_bioasq(shared_data / f"qa/bioasq/{name}.json")
    assert {q.kind for q in found} == {kind}
    assert len({q.group for q in found}) == questions
    assert len({q.group for q in found if max(q.starts) >= 0}) == answered
    for q in found:
        for text, start in zip(q.answers, q.starts, strict=True):
            assert start < 0 or q.context[start : start + len(text)] == text


def test_every_occurrence_of_every_synonym(tmp_path):
    path = write(tmp_path, question(answer=[["COX-1", "PTGS1"]]))
    [q] = read_bioasq(path)
    assert (q.id, q.group, q.kind) == ("q_000", "q", "factoid")
    assert q.answers == ("COX-1", "cox-1", "COX-1", "PTGS1")
    assert q.starts == (0, 10, -1, -1)
    assert q.synonyms == (("COX-1", "PTGS1"),)


@pytest.mark.parametrize(
    ("kind", "answer", "synonyms"),
    [
        ("factoid", "a", (("a",),)),
        ("factoid", ["a", "b"], (("a", "b"),)),
        ("list", [["a", "b"], ["c"]], (("a", "b"), ("c",))),
        ("list", ["a", "b"], (("a",), ("b",))),
        ("list", [["a"], "b"], (("a",), ("b",))),
        ("list", None, ()),
    ],
)
def test_forms_of_exact_answers(tmp_path, kind, answer, synonyms):
    [q] = read_bioasq(write(tmp_path, question(kind, answer)))
    assert q.synonyms == synonyms


@pytest.mark.parametrize(
    ("context", "names", "found"),
    [
        ("p53, not p530", ["p53"], [(0, "p53")]),
        ("retina and RET", ["ret"], [(11, "RET")]),
        ("TNF-alpha", ["TNF", "TNF-alpha"], [(0, "TNF-alpha")]),
        ("deep  vein\nthrombosis", ["Deep vein thrombosis"], [(0, "deep  vein\nthrombosis")]),
        ("a (+)b", ["(+)b", ""], [(2, "(+)b")]),
        ("β-catenin", ["Β-CATENIN"], [(0, "β-catenin")]),
    ],
)
def test_occurrences(context, names, found):
    assert list(occurrences(context, names)) == found


@given(context=st.text(), names=st.lists(st.text(), max_size=3))
def test_occurrences_are_in_the_text(context, names):
    for start, text in occurrences(context, names):
        assert context[start : start + len(text)] == text


def test_abstracts_instead_of_snippets(tmp_path):
    url = "http://www.ncbi.nlm.nih.gov/pubmed/"
    path = write(
        tmp_path,
        question(answer=[["a"]], documents=[url + "12", url + "13/", "x"]),
        question(answer=[["COX-1"]], documents=[url + "14"], id="r"),
        question(answer=[["a"]], documents=[], snippets=[], id="s"),
    )
    abstracts = tmp_path / "abstracts.jsonl"
    abstracts.write_text(
        '{"id": "12", "text": "a b", "title": "T."}\n{"pmid": 13, "text": "c"}\n', encoding="utf-8"
    )
    notes = []
    found = read_bioasq(
        path,
        abstracts=read_abstracts(abstracts),
        note=lambda where, what: notes.append((where[-1], what)),
    )
    assert [(q.id, q.context) for q in found] == [
        ("q_000", "T. a b"),
        ("q_001", "c"),
        ("r_000", "COX-1 and cox-1"),
    ]
    instead = "none of its documents is among the abstracts: snippets instead"
    assert notes == [("r", instead), ("s", instead), ("s", "no passage to ask: left out")]
    abstracts.write_text('{"id": "12"}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r'abstracts\.jsonl:1: an abstract needs "id"'):
        read_abstracts(abstracts)


def test_a_passage_counts_once_and_yes_no_is_a_text(tmp_path):
    path = write(tmp_path, question("yesno", "Yes", snippets=("a", "b", "a")))
    assert read_bioasq(path) == []
    found = read_bioasq_yes_no(path)
    assert [(e.id, e.text, e.pair, e.labels, e.group) for e in found] == [
        ("q_000", "what?", "a", ("yes",), "q"),
        ("q_001", "what?", "b", ("yes",), "q"),
    ]
    [unlabelled] = read_bioasq_yes_no(write(tmp_path, question("yesno")))
    assert unlabelled.labels is None


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ([3], r"x\.json: questions\[0\]: not a question but 3"),
        ([{"type": "list"}], r"questions\[0\]: no id"),
        ([question(body="")], r'x\.json: question q: no text in "body"'),
        ([question("other")], r"question q: type is 'other': give factoid, list, yesno or summary"),
        ([question("yesno", "maybe")], r"question q: exact_answer is 'maybe': yes or no was"),
        ([question("list", [[1]])], r"question q: exact_answer is \[\[1\]\]"),
        ([question(snippets=(3,))], r"question q: snippets hold what is no text"),
        ([question() | {"snippets": [3]}], r"question q: snippets are no objects"),
        ([question(), question()], r"question q: id 'q' stands at .* already"),
    ],
)
def test_faults_name_file_and_question(tmp_path, questions, message):
    path = write(tmp_path, *questions)
    with pytest.raises(UserError, match=message):
        read_bioasq(path)
    faults = []
    path = write(tmp_path, *questions, question(id="last"))
    kept = read_bioasq(path, fault=lambda *fault: faults.append(fault))
    assert kept[-1].group == "last"
    assert len(faults) == 1


def test_questions_of_other_kinds_are_counted(tmp_path):
    kinds = ("factoid", "yesno", "summary", "summary")
    path = write(tmp_path, *(question(kind, id=str(i)) for i, kind in enumerate(kinds)))
    notes = []
    assert len(read_bioasq(path, note=lambda *note: notes.append(note))) == 1
    assert notes == [(f"{path}", "2 summary, 1 yesno questions: left out")]
    notes.clear()
    assert len(read_bioasq_yes_no(path, note=lambda *note: notes.append(note))) == 1
    assert notes == [(f"{path}", "1 factoid, 2 summary questions: left out")]


def test_other_json_is_refused(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"data": []}', encoding="utf-8")
    with pytest.raises(UserError, match=r'x\.json: no list "questions", as BioASQ has it'):
        read_bioasq(path)
    path.write_text('[{"query": "a", "answer": ["b"], "sentences": "c"}]', encoding="utf-8")
    with pytest.raises(UserError, match=r"x\.json: \[0\]: sentences hold what is no text"):
        read_bioasq(path)
