"""Tagged documents written: JSON lines and pages, all of them or none."""

import json
from pathlib import Path

import pytest

from biobert_jax.errors import UserError
from biobert_jax.predict.annotations import AnnotatedDocument, Entity
from biobert_jax.predict.formats import to_json_line, write_documents

TEXT = 'Aspirin\u2028for "µ\U0001f9ec"\n'
DOCUMENTS = [
    AnnotatedDocument("1", TEXT, (Entity(0, 7, "Drug", "Aspirin", 0.9),)),
    AnnotatedDocument("2", "", ()),
]


def test_a_json_line_holds_the_document():
    line = to_json_line(DOCUMENTS[0])
    assert line.count("\n") == 1 and "µ" in line
    assert json.loads(line) == {
        "id": "1",
        "text": TEXT,
        "entities": [{"start": 0, "end": 7, "type": "Drug", "text": "Aspirin", "score": 0.9}],
    }


def test_several_files_are_written_from_documents_that_come_once(tmp_path):
    paths = [tmp_path / name for name in ("a.jsonl", "new/b.html", "c.jsonl")]
    write_documents(paths, iter(DOCUMENTS), "A title")
    assert paths[0].read_bytes() == "".join(map(to_json_line, DOCUMENTS)).encode()
    assert paths[2].read_bytes() == paths[0].read_bytes()
    assert "A title" in paths[1].read_text() and "Aspirin" in paths[1].read_text()


def test_nothing_appears_when_the_documents_end_in_an_error(tmp_path):
    def documents():
        yield DOCUMENTS[0]
        raise UserError("a fault")

    (tmp_path / "a.jsonl").write_text("old")
    with pytest.raises(UserError, match="a fault"):
        write_documents([tmp_path / "a.jsonl", tmp_path / "b.html"], documents(), "")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
    assert (tmp_path / "a.jsonl").read_text() == "old"


@pytest.mark.parametrize("name", ["a.csv", "a", "a.jsonl.gz", "jsonl"])
def test_other_names_are_refused(name):
    with pytest.raises(UserError, match=r"name it \.jsonl or \.html"):
        write_documents([Path(name)], DOCUMENTS, "")
