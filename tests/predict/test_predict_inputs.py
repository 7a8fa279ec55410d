"""What is read to be tagged: texts to the code point, ids that tell documents apart, faults."""

import bz2
import gzip
import json
import os

import pytest

from biobert_jax.errors import UserError
from biobert_jax.predict import inputs
from biobert_jax.predict.annotations import RawDocument, as_documents
from biobert_jax.predict.inputs import Reading, document_names, read_documents


def read(tmp_path, content, name="x.jsonl", **options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_documents([str(path)], **options))


@pytest.mark.parametrize(
    "text", ["", "\n \n", "a\r\nb\u2028c\u0085\x0c\n", "a\rb", "µ\U0001f9ec\n"]
)
def test_a_text_file_is_one_document_kept_to_the_code_point(tmp_path, text):
    assert read(tmp_path, text, "n.txt") == [RawDocument("n.txt", text)]
    assert read(tmp_path, gzip.compress(text.encode()), "n.txt.gz")[0].text == text
    assert read(tmp_path, b"\xef\xbb\xbf" + text.encode(), "m.txt") == [RawDocument("m.txt", text)]


def test_json_lines(tmp_path):
    lines = '{"id": "a", "text": "x\\ny"}\r\n\n{"id": 7, "text": ""}\n \n{"id": null, "text": "z"}'
    expected = [("a", "x\ny"), ("7", ""), ("x.jsonl:5", "z")]
    assert read(tmp_path, lines) == expected
    assert read(tmp_path, b"\xef\xbb\xbf" + lines.encode()) == expected
    assert read(tmp_path, gzip.compress(lines.encode()), "x.jsonl.gz")[0] == ("a", "x\ny")
    assert read(tmp_path, lines, "x.ndjson")[2].id == "x.ndjson:5"
    assert read(tmp_path, lines, "x.txt", format="jsonl")[0] == ("a", "x\ny")
    assert read(tmp_path, "") == read(tmp_path, "\n\n") == []


def test_half_a_surrogate_pair_can_be_written_again(tmp_path):
    [document] = read(tmp_path, '{"id": "\\udc00", "text": "a \\ud83d b"}')
    assert document == ("\ufffd", "a \ufffd b")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[]", 'expected an object with "text", found an array'),
        ('{"id": 1}', 'no "text"'),
        ('{"text": 3}', '"text" must be a string'),
        ('{"id": true, "text": "a"}', '"id" must be a string or a whole number, not a boolean'),
        ('{"id": {"a": 1}, "text": "a"}', "not an object"),
        ("[" * 100_000, "JSON"),
        ('{"text": ' + "[" * 100_000, "JSON"),
        (b'{"text": "caf\xe9"}', "not UTF-8 at byte"),
    ],
)
def test_a_line_that_is_no_document_is_left_out_and_named(tmp_path, line, reason):
    reading = Reading()
    line = line if isinstance(line, bytes) else line.encode()
    content = b'{"id": 1, "text": "a"}\n%b\n{"id": 2, "text": "b"}\n' % line
    assert [d.id for d in read(tmp_path, content, reading=reading)] == ["1", "2"]
    [fault] = reading.faults
    assert fault.startswith(f"{tmp_path}/x.jsonl:2: ") and reason in fault
    with pytest.raises(UserError, match=r"x\.jsonl:2: "):
        read(tmp_path, content, on_error="fail")


def damaged(data):
    return data[:-6] + bytes([data[-6] ^ 255]) + data[-5:]  # in the checksum, which comes last


PACKED = gzip.compress(
    b"".join(b'{"id": %d, "text": "a%d"}\n' % (n, n * n) for n in range(999)), mtime=0
)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cut.jsonl.gz", PACKED[:-9], "gzip data ends too early"),
        ("bad.jsonl.gz", damaged(PACKED), "damaged"),
        (
            "cut.txt.gz",
            gzip.compress(b"Some words. " * 99, mtime=0)[:-9],
            "gzip data ends too early",
        ),
        ("utf16.txt", "Aspirin".encode("utf-16"), "iconv -f utf-16"),
        ("latin.txt", b"caf\xe9", "not UTF-8 at byte 3"),
        ("packed.txt", bz2.compress(b"a"), "bzip2"),
        ("paper.txt", b"%PDF-1.7\n%\xe2\xe3", "this is a PDF: extract its text first"),
        (
            "p.xml.gz",
            gzip.compress(b"<?xml version='1.0'?><PubmedArticleSet>", mtime=0),
            "PubMed XML",
        ),
        ("lines.txt", b'{"id": 1, "text": "a"}\n' * 3, "use --input_format jsonl"),
    ],
)
def test_a_file_that_cannot_be_read_is_left_out_as_a_whole(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.txt").write_text("b")
    paths = [str(tmp_path / name), str(tmp_path / "good.txt"), str(tmp_path / "absent.txt")]
    reading = Reading()
    assert list(read_documents(paths, reading=reading)) == [("good.txt", "b")]
    assert reading.left_out == 2
    assert name in reading.faults[0] and reason in reading.faults[0]
    assert "absent.txt" in reading.faults[1]


def test_faults_are_counted_but_not_all_named(tmp_path):
    reading = Reading()
    read(tmp_path, "x\n" * 25, reading=reading)
    assert reading.left_out == 25 and len(reading.faults) == 10


def test_files_of_one_name_are_told_apart():
    assert document_names(["2019/paper.txt", "2019/b.txt"]) == ["paper.txt", "b.txt"]
    assert document_names(["2019/paper.txt", "./2020/paper.txt", "c.txt"]) == [
        *("2019/paper.txt", "2020/paper.txt", "c.txt"),
    ]
    assert document_names(["/a/b/p.txt", "/a/c/d/p.txt"]) == ["b/p.txt", "c/d/p.txt"]
    assert document_names(["/dev/stdin", "/a/n", "/b/n"]) == ["stdin", "a/n", "b/n"]
    assert document_names([os.fsdecode(b"caf\xe9.txt")]) == ["caf\ufffd.txt"]


def test_two_documents_never_share_an_id_silently(tmp_path):
    for name in ("a.jsonl", "b.jsonl"):
        lines = [json.dumps({"id": n, "text": name}) for n in (1, name)]
        (tmp_path / name).write_text("\n".join(lines))
    said, reading = [], Reading()
    paths = [str(tmp_path / name) for name in ("a.jsonl", "b.jsonl")]
    documents = list(read_documents(paths, say=said.append, reading=reading))
    assert [d.id for d in documents] == ["1", "a.jsonl", "1", "b.jsonl"]
    assert reading.repeated == 1
    assert said == [f"warning: {paths[1]}:1: the id '1' stands at {paths[0]}:1 already"]


def test_ids_that_are_compared_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "_MAX_IDS", 2)
    lines = "".join(json.dumps({"id": id_, "text": ""}) + "\n" for id_ in "abcca")
    said, reading = [], Reading()
    assert len(read(tmp_path, lines, say=said.append, reading=reading)) == 5
    assert reading.repeated == 1 and "x.jsonl:5: the id 'a' stands at" in said[1]
    assert said[0] == "from here on ids are compared with those of 2 documents"


def test_texts_from_python():
    assert list(as_documents(["a", RawDocument("x", "b"), ""])) == [
        ("0", "a"),
        ("x", "b"),
        ("2", ""),
    ]
    for single in ("a text", RawDocument("1", "a text"), None, 3.5):
        with pytest.raises(UserError, match=r"give a list of texts, as in tag\(\[text\]\)"):
            as_documents(single)
    for missing in (None, float("nan"), RawDocument("1", None), ["a"]):
        with pytest.raises(UserError, match="document 1: .* is no text: leave out what is missing"):
            list(as_documents(["a", missing]))
