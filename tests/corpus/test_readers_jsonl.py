import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.corpus.documents import CorpusFileError, Document, ReadCounts
from biobert_jax.corpus.readers import lines
from biobert_jax.corpus.readers.jsonl import read_jsonl


def write(folder, data, name="notes.jsonl"):
    path = folder / name
    path.write_bytes(data)
    return path


def read_one(folder, line):
    (document,) = read_jsonl(write(folder, line.encode()))
    return document


def test_lines_of_text_are_passages(tmp_path):
    line = r'{"text": "A  title\n\n First.\r\nSecond\tone.\n \n", "year": NaN, "id": "a1"}'
    assert read_one(tmp_path, line) == Document("a1", ("A title", "First.", "Second one."))


@pytest.mark.parametrize(
    ("id_", "expected"),
    [('"id": 12,', "12"), ('"id": " a\\n b",', "a b"), ("", "notes.jsonl:1")]
    + [('"id": null,', "notes.jsonl:1"), ('"id": "",', "notes.jsonl:1"), ('"id": 0,', "0")],
)
def test_ids(tmp_path, id_, expected):
    assert read_one(tmp_path, f'{{{id_} "text": "x"}}').id == expected


def test_empty_texts_are_counted_and_blank_lines_are_not(tmp_path):
    data = b'\xef\xbb\xbf{"text": "one"}\r\n\n{"text": ""}\n'
    data += b'{"text": " \\n\\u2028"}\n \n{"text": "two"}'
    counts = ReadCounts()
    documents = list(read_jsonl(write(tmp_path, data), counts=counts))
    assert [d.id for d in documents] == ["notes.jsonl:1", "notes.jsonl:6"]
    assert counts == ReadCounts(documents=2, empty=2, bytes=len(data))


def test_half_surrogate_pairs_become_replacement_characters(tmp_path):
    document = read_one(
        tmp_path, r'{"id": "\udc00", "text": "a \ud83d\ude00 b \ud800 \uDFFF\u0000"}'
    )
    assert document == Document("\ufffd", ("a \U0001f600 b \ufffd \ufffd\0",))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "x"', "not JSON: Expecting ',' delimiter (column 13)"),
        ("text", "not JSON: Expecting value (column 1)"),
        ('{"text": "x"} {}', "not JSON: Extra data (column 15)"),
        ('{"text": "x\ty"}', "not JSON: Invalid control character at (column 12)"),
        ('["x"]', 'expected an object with "text", found an array'),
        ("3", 'expected an object with "text", found a number'),
        ("{}", 'the object has no "text"'),
        ('{"text": null}', '"text" must be a string, not null'),
        ('{"text": ["x"]}', '"text" must be a string, not an array'),
        ('{"text": {}}', '"text" must be a string, not an object'),
        ('{"id": true, "text": "x"}', '"id" must be a string or a whole number, not a boolean'),
        ('{"id": 1.5, "text": "x"}', '"id" must be a string or a whole number, not a number'),
        ('{"id": ' + "9" * 5000 + ', "text": "x"}', "not usable JSON: Exceeds the limit"),
        ("[" * 200_000, "not usable JSON: nested too deeply"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, reason):
    path = write(tmp_path, f'{{"text": "good"}}\n\n{line}\n{{"text": "too"}}'.encode())
    counts = ReadCounts()
    documents = list(read_jsonl(path, counts=counts))
    assert [d.passages for d in documents] == [("good",), ("too",)]
    ((place, found),) = counts.failed.items()
    assert place == f"{path}:3" and found.startswith(reason)


def test_lines_that_are_not_utf8_or_too_long_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "MAX_RECORD_BYTES", 100)
    data = b'{"text": "caf\xe9"}\n{"text": "%s"}\n{"text": "good"}\n' % (b"x" * 200)
    path, counts = write(tmp_path, data), ReadCounts()
    assert [d.id for d in read_jsonl(path, counts=counts)] == ["notes.jsonl:3"]
    assert counts.failed.keys() == {f"{path}:1", f"{path}:2"}


@pytest.mark.parametrize(
    "num_good, num_bad, said",
    [(0, 1, ""), (0, 60, "60 bad lines"), (50, 101, "more than 100 bad lines")],
)
def test_a_file_of_bad_lines_is_a_bad_file(tmp_path, num_good, num_bad, said):
    data = b'{"text": "x"}\n' * num_good + b"x\n" * num_bad
    counts = ReadCounts()
    with pytest.raises(CorpusFileError, match=f"notes.jsonl:{num_good + 1}: not JSON") as caught:
        list(read_jsonl(write(tmp_path, data), counts=counts))
    assert str(caught.value).partition(" (the first of ")[2].rstrip(")") == said
    assert not counts.failed


TEXTS = st.text() | st.text("a \n\r\t\u2028\x85")


@given(st.lists(st.tuples(TEXTS, TEXTS)), st.booleans())
def test_what_is_written_is_read(tmp_path_factory, records, ascii_only):
    lines = [json.dumps({"id": i, "text": t}, ensure_ascii=ascii_only) + "\n" for i, t in records]
    path = write(tmp_path_factory.mktemp("jsonl"), "".join(lines).encode())
    expected = [(i.split(), t.split()) for i, t in records if t.split()]
    got = [(d.id.split(), " ".join(d.passages).split()) for d in read_jsonl(path)]
    assert [text for _, text in got] == [text for _, text in expected]
    assert all(a == b for (a, _), (b, _) in zip(got, expected, strict=True) if b)


def test_real_abstracts(shared_data):
    path = shared_data / "corpus/text/abstracts.jsonl.gz"
    counts = ReadCounts()
    documents = list(read_jsonl(path, counts=counts))
    assert (counts.documents, counts.empty) == (len(documents), 0) == (15_796, 0)
    records = [json.loads(line) for line in gzip.open(path)]
    assert [d.id for d in documents] == [r["id"] for r in records]
    for document, record in zip(documents, records, strict=True):
        assert " ".join(document.passages).split() == record["text"].split()
        assert not any("  " in p or "\n" in p or not p for p in document.passages)
