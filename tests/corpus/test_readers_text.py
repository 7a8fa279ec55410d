import gzip
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.corpus.documents import CorpusFileError, Document, ReadCounts
from biobert_jax.corpus.readers import lines, text
from biobert_jax.corpus.readers.text import read_text


def write(folder, data, name="notes.txt"):
    path = folder / name
    path.write_bytes(data)
    return path


def test_blank_lines_end_documents(tmp_path):
    path = write(tmp_path, b"\n \nOne.\nTwo  and\tthree. \n\n\t\n\nFour.")
    assert list(read_text(path)) == [
        Document("notes.txt:1", ("One.", "Two and three.")),
        Document("notes.txt:2", ("Four.",)),
    ]


def test_windows_files_with_a_byte_order_mark(tmp_path):
    path = write(tmp_path, "\ufeffOne.\r\nTwo.\r\n\r\nThree.\r\n".encode())
    assert [d.passages for d in read_text(path)] == [("One.", "Two."), ("Three.",)]


@pytest.mark.parametrize("data", [b"", b"\n", b"\n\n \n\r\n", "\ufeff\n".encode()])
def test_files_without_text_hold_no_documents(tmp_path, data):
    counts = ReadCounts()
    assert list(read_text(write(tmp_path, data), counts=counts)) == []
    assert counts == ReadCounts(bytes=len(data))


# A byte order mark that opens the file would be dropped.
SENTENCE = st.text().map(lambda s: " ".join(s.replace("\ufeff", "").split())).filter(bool)


@given(st.lists(st.lists(SENTENCE, min_size=1)))
def test_what_is_written_is_read(tmp_path_factory, documents):
    text = "\n\n".join("\n".join(sentences) for sentences in documents)
    path = write(tmp_path_factory.mktemp("text"), text.encode())
    assert [list(d.passages) for d in read_text(path)] == documents


def test_bad_encoding_ends_the_file_after_the_documents_before_it(tmp_path):
    path = write(tmp_path, b"One.\n\nTwo.\n\nCaf\xe9.\n")
    got = []
    with pytest.raises(CorpusFileError, match=r"notes.txt:5: not UTF-8 at byte 15.*cp1252"):
        got.extend(read_text(path))
    assert [d.passages for d in got] == [("One.",), ("Two.",)]


def test_a_line_of_20_megabytes(tmp_path):
    line = b"word " * (4 << 20)
    (document,) = read_text(write(tmp_path, line))
    assert document.passages[0].encode() == line[:-1]


def test_a_document_beyond_bounds_is_named_and_the_others_are_read(tmp_path, monkeypatch):
    for module in (text, lines):
        monkeypatch.setattr(module, "MAX_RECORD_BYTES", 50)
    long = ["x" * 40, "x" * 60]
    path = write(tmp_path, "\n".join(["One.", "", *long, "", "Two.", "", *["y"] * 60]).encode())
    counts = ReadCounts()
    documents = list(read_text(path, counts=counts))
    assert [(d.id, d.passages) for d in documents] == [
        ("notes.txt:1", ("One.",)),
        ("notes.txt:3", ("Two.",)),
    ]
    reason = "a document of more than 0 MiB: put blank lines between documents"
    assert counts.failed == {f"{path}:3": reason, f"{path}:8": reason}


@pytest.mark.parametrize(
    "name", [f"text/pmc_paragraphs-{i}" for i in range(4)] + ["general/enwiki"]
)
def test_real_text(shared_data, name):
    path = shared_data / "corpus" / f"{name}.txt.gz"
    counts = ReadCounts()
    documents = list(read_text(path, counts=counts))
    text = gzip.decompress(path.read_bytes()).decode()
    assert len(documents) == counts.documents == len(re.findall(r"[^\n]\n(?:\n|\Z)", text))
    assert counts.bytes == len(text.encode())
    assert documents[-1].id == f"{path.name}:{len(documents)}"
    passages = [p for document in documents for p in document.passages]
    assert len(passages) == sum(1 for line in text.split("\n") if line.strip())
    assert not any("  " in p or "\n" in p for p in passages)
    assert sum(len(p.split()) for p in passages) == len(text.split())
