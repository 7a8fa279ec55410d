"""SQuAD, BioBERT's files in its shape, and a user's JSON lines: counts, answers' places, faults."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.errors import UserError
from biobert_jax.tasks.files.squad import (
    is_yes_no,
    read_question_lines,
    read_squad,
    read_yes_no,
)

ID = "5a6a3335b750ff4455000025"


def squad(*qas, context="aspirin binds COX-1, aspirin", **more):
    return {
        "data": [{"title": "t", "paragraphs": [{"context": context, "qas": list(qas)}]}],
        **more,
    }


def qa(id="q", question="what?", **more):
    return {"id": id, "question": question, **more}


def answer(text, start):
    return {"text": text, "answer_start": start}


def write(tmp_path, value, name="x.json"):
    path = tmp_path / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def read(tmp_path, *qas, reader=read_squad, **more):
    notes = []
    path = write(tmp_path, squad(*qas, **more))
    return reader(path, note=lambda where, what: notes.append(what)), notes


@pytest.mark.parametrize(
    ("version", "questions", "articles", "impossible"),
    [("1.1", 10570, 48, {None: 10570}), ("2.0", 11873, 35, {True: 5945, False: 5928})],
)
def test_squad_has_the_published_counts(shared_data, version, questions, articles, impossible):
    notes = []
    path = shared_data / f"qa/squad/dev-v{version}.json"
    found = read_squad(path, note=lambda *note: notes.append(note))
    assert len(found) == len({q.id for q in found}) == questions
    assert len({q.document for q in found}) == articles
    assert Counter(q.is_impossible for q in found) == impossible
    assert notes == []
    for q in found:
        assert all(
            q.context[start : start + len(text)] == text
            for text, start in zip(q.answers, q.starts, strict=True)
        )
    raw = [
        (qa["id"], [a["text"] for a in qa["answers"]], [a["answer_start"] for a in qa["answers"]])
        for article in json.loads(path.read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    ]
    assert [(q.id, list(q.answers), list(q.starts)) for q in found] == raw


def test_bioberts_factoid_tests_have_161_questions(shared_data):
    groups = set()
    for number, count in zip(range(1, 6), (121, 78, 93, 88, 145), strict=True):
        found = read_squad(shared_data / f"qa/bioasq/BioASQ-test-factoid-6b-{number}.json")
        assert len(found) == count
        assert {q.kind for q in found} == {"factoid"}
        assert all(q.answers == () and q.is_impossible is None for q in found)
        groups |= {q.group for q in found}
    assert len(groups) == 161


def test_an_answer_is_sought_nearest_to_its_place(tmp_path):
    [q], notes = read(tmp_path, qa(answers=[answer("aspirin", 19), answer("COX-1", 14)]))
    assert q.starts == (21, 14)
    assert notes == ["answer 'aspirin' is not at 19 but at 21: read there"]


def test_an_answer_that_is_nowhere_is_kept_and_noted(tmp_path):
    [q], notes = read(tmp_path, qa(answers=[answer("COX-2", 14)]))
    assert (q.answers, q.starts) == (("COX-2",), (-1,))
    assert notes == ["answer 'COX-2' does not occur in its context: not trained on"]


def test_offsets_count_code_points(tmp_path):
    context = "𝛽𝛽 naïve T cells"
    [q], notes = read(tmp_path, qa(answers=[answer("T cells", 9)]), context=context)
    assert (q.starts, notes) == ((9,), [])


def test_impossible_questions(tmp_path):
    possible = qa("a", answers=[answer("COX-1", 14)], is_impossible=False)
    found, _ = read(
        tmp_path, possible, qa("b", answers=[], is_impossible=True), qa("c", answers=[])
    )
    assert [q.is_impossible for q in found] == [False, True, True]
    found, _ = read(tmp_path, qa("b", answers=[]), version="v2.0")
    assert found[0].is_impossible is True
    found, _ = read(tmp_path, qa("b", answers=[]), version="1.1")
    assert found[0].is_impossible is None
    contradiction = qa("a", answers=[answer("COX-1", 14)], is_impossible=True)
    found, notes = read(tmp_path, contradiction)
    assert (found[0].answers, found[0].is_impossible) == ((), True)
    assert notes == ["is_impossible, but it has answers: they are left out"]


def test_bioasqs_ids_name_the_question(tmp_path):
    found, _ = read(tmp_path, qa(f"{ID}_001"), qa(f"{ID}_002"), qa("other_1"))
    assert [(q.group, q.kind) for q in found] == [(ID, "factoid")] * 2 + [("other_1", "")]
    path = write(tmp_path, squad(qa(f"{ID}_001")), "BioASQ-train-list-6b.json")
    assert read_squad(path)[0].kind == "list"


def test_yes_no(tmp_path):
    qas = [
        qa(f"{ID}_001", answers="yes", is_impossible="no"),
        qa(f"{ID}_002", answers="No", is_impossible="no"),
        qa("x"),
    ]
    found, _ = read(tmp_path, *qas, reader=read_yes_no)
    assert [(e.text, e.labels, e.group) for e in found] == [
        ("what?", ("yes",), ID),
        ("what?", ("no",), ID),
        ("what?", None, ""),
    ]
    assert {e.pair for e in found} == {"aspirin binds COX-1, aspirin"}
    assert is_yes_no(squad(*qas))
    assert not is_yes_no(squad(qa(answers=[answer("COX-1", 14)])))
    assert not is_yes_no([])
    with pytest.raises(UserError, match=r"x\.json: question q: answers is 'maybe': yes or no was"):
        read(tmp_path, qa(answers="maybe"), reader=read_yes_no)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('{"data": [\n{"title": 3,]', r"x\.json:2: not JSON at column 13"),
        ("[" * 100_000, r"x\.json: not JSON: nested too deep"),
        ([], r'x\.json: no list "data" of articles'),
        ({"data": [{"title": "t"}]}, r'x\.json: data\[0\]: no list "paragraphs"'),
        ({"data": [{"paragraphs": [{}]}]}, r'x\.json: data\[0\]\.paragraphs\[0\]: no list "qas"'),
        (squad(3), r"x\.json: data\[0\]\.paragraphs\[0\]\.qas\[0\]: not a question but 3"),
        (squad({"question": "a"}), r"qas\[0\]: no id"),
        (squad(qa([1])), r"qas\[0\]: id is \[1\]"),
        (squad(qa(question=" ")), r'x\.json: question q: no text in "question"'),
        (squad(qa(), context=""), r'x\.json: question q: no text in the paragraph\'s "context"'),
        (squad(qa(), qa()), r"x\.json: question q: id 'q' stands at .*question q already"),
        (squad(qa(answers=["", 1])), r"x\.json: question q: answer ''"),
        (squad(qa(answers=[answer("a", "3")])), r"question q: answer \{.*\}: give"),
        (squad(qa(is_impossible="maybe")), r"question q: is_impossible is 'maybe'"),
    ],
)
def test_faults_name_file_and_question(tmp_path, value, message):
    with pytest.raises(UserError, match=message):
        read_squad(write(tmp_path, value))


def test_all_faults_can_be_collected_and_the_rest_kept(tmp_path):
    path = write(tmp_path, squad(qa("a", " "), qa("b"), qa("b"), qa("c", answers=[3]), qa("d")))
    faults = []
    found = read_squad(path, fault=lambda where, what: faults.append(where.rpartition(" ")[2]))
    assert [q.id for q in found] == ["b", "d"]
    assert faults == ["a", "b", "c"]


def test_json_lines(tmp_path):
    lines = [
        {"question": "what?", "context": "COX-1 and COX-2", "answers": ["COX-2"], "group": "g"},
        {"question": "what?", "context": "c", "answers": [], "is_impossible": True, "id": 7},
    ]
    path = write(tmp_path, "".join(json.dumps(line) + "\n" for line in lines), "x.jsonl")
    first, second = read_question_lines(path)
    assert (first.id, first.group, first.answers, first.starts) == ("0", "g", ("COX-2",), (10,))
    assert (second.id, second.group, second.is_impossible) == ("7", "7", True)
    path = write(tmp_path, '{"question": "a", "context": " "}\n', "y.jsonl")
    with pytest.raises(UserError, match=r'y\.jsonl:1: no "context"'):
        read_question_lines(path)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(before=TEXT, text=TEXT.filter(str.strip), after=TEXT, shift=st.integers(-3, 3))
def test_offsets_round_trip_on_any_text(tmp_path_factory, before, text, after, shift):
    value = squad(qa(answers=[answer(text, len(before) + shift)]), context=f"{before}{text}{after}")
    [q] = read_squad(write(tmp_path_factory.mktemp("squad"), value))
    assert q.context == before + text + after
    assert q.context[q.starts[0] : q.starts[0] + len(text)] == text
    if shift == 0:
        assert q.starts == (len(before),)
