"""PubTator: what is read, what is mended, what is refused by file and line; the real files."""

import gzip

import pytest

from biobert_jax.errors import UserError
from biobert_jax.formats.documents import Annotation, Relation
from biobert_jax.formats.faults import Lines
from biobert_jax.formats.pubtator import read_pubtator

TITLE = "Aspirin and colitis."
ABSTRACT = "Aspirin may worsen peptic ulcers."
HEAD = f"7|t|{TITLE}\n7|a|{ABSTRACT}\n"


def written(tmp_path, text, name="x.PubTator"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def read(tmp_path, text, **said):
    return read_pubtator(written(tmp_path, text), **said)


def row(*fields):
    return "\t".join(map(str, fields)) + "\n"


def mention(text, type_="Disease", *, title=TITLE, abstract=ABSTRACT, id_="7", more=()):
    start = f"{title} {abstract}".index(text)
    return row(id_, start, start + len(text), text, type_, *more)


def test_offsets_count_over_title_and_abstract(tmp_path):
    rows = mention("colitis", more=["D003092"]) + mention("peptic ulcers", more=["D010437|-1"])
    [document] = read(tmp_path, HEAD + rows)
    assert document.id == "7" and document.where == f"{tmp_path}/x.PubTator:1"
    title, abstract = document.passages
    assert (title.kind, title.offset, title.text) == ("title", 0, TITLE)
    assert (abstract.kind, abstract.offset, abstract.text) == ("abstract", len(TITLE) + 1, ABSTRACT)
    [one], [other] = title.annotations, abstract.annotations
    assert one == Annotation("Disease", ((12, 19),), "colitis", identifiers=("D003092",))
    assert other.identifiers == ("D010437",)
    assert ABSTRACT[other.start - abstract.offset : other.end - abstract.offset] == other.text
    assert document.annotations == (one, other)


@pytest.mark.parametrize(
    ("given", "identifiers"),
    [
        ("D1|OMIM:2", ("D1", "OMIM:2")),
        ("7040,7042(Tax:9606)", ("7040", "7042(Tax:9606)")),
        (" D1;D2 ", ("D1", "D2")),
        ("c|SUB|C|339|T", ("c|SUB|C|339|T",)),
        ("-", ()),
        ("-1", ()),
        ("", ()),
    ],
)
def test_identifiers(tmp_path, given, identifiers):
    [document] = read(tmp_path, HEAD + mention("colitis", more=[given]))
    assert document.annotations[0].identifiers == identifiers


def test_relations(tmp_path):
    rows = row("7", "CID", "D001241", "D010437") + row("7", "Association", "3175", "D1", "Novel")
    [document] = read(tmp_path, HEAD + rows)
    assert document.relations == (
        Relation("CID", ("D001241", "D010437")),
        Relation("Association", ("3175", "D1"), ("Novel",)),
    )
    assert document.annotations == ()


@pytest.mark.parametrize(
    "text",
    [
        "7|t|a b\n7|a|c\n7\t2\t3\tb\tX\n\n8|t|d\n8|a|\n",
        "\ufeff7|t|a b\r\n7|a|c\r\n7\t2\t3\tb\tX\r\n\r\n8|t|d\r\n8|a|\r\n",
        "\n\n7|t|a b\n7|a|c\n\n7\t2\t3\tb\tX\n8|t|d\n8|a|",  # blank lines mean nothing
    ],
)
def test_layouts_that_mean_the_same(tmp_path, text):
    one, other = read(tmp_path, text)
    assert [passage.text for passage in one.passages] == ["a b", "c"]
    assert one.annotations == (Annotation("X", ((2, 3),), "b"),)
    assert [passage.text for passage in other.passages] == ["d", ""]


def test_gzip_and_titles_alone_are_read(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"PMC7|t|a|b\tc\nPMC7\t0\t1\ta\tX\n"))
    [document] = read_pubtator(path)
    assert document.id == "PMC7" and [p.text for p in document.passages] == ["a|b\tc"]


def test_white_space_at_the_ends_counts(tmp_path):
    text = "7|t| a. \n7|a| b \n" + row("7", 6, 7, "b", "X")
    [document] = read(tmp_path, text)
    [title, abstract] = document.passages
    assert title.text == " a. " and abstract.offset == 5 and len(abstract.annotations) == 1


def test_mentions_that_stand_elsewhere_are_mended_and_counted(tmp_path):
    title = 'Krüppel "TATA" box and RFC'
    rows = [
        row("7", 24, 27, "RFC", "bytes"),
        row("7", 0, 8, "Krüppel", "bytes"),
        row("7", 8, 18, " TATA  box", "spelling"),
        row("7", 23, 24, "RFC", "end"),
        row("7", 9, 13, "tata", "spelling"),
    ]
    notes = Lines()
    path = written(tmp_path, f"7|t|{title}\n{''.join(rows)}")
    [document] = read_pubtator(path, note=notes.of(path))
    words = [own.text for own in document.annotations]
    assert words == ["RFC", "Krüppel", '"TATA" box', "RFC", "TATA"]
    assert all(title[a.start : a.end] == a.text for a in document.annotations)
    assert [line.removeprefix(str(path)) for line in notes.shown()] == [
        ":2: 'RFC': its offsets count bytes: read so (2 such mentions in the file)",
        ":4: ' TATA  box': spelt otherwise in the text: read as it stands there (2 such mentions "
        "in the file)",
        ":5: 'RFC': its end is another: read whole (1 such mention in the file)",
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            row("7", 0, 7, "Ibuprofen", "Drug"),
            r":3: mention 'Ibuprofen', but the text has",
        ),
        (
            row("7", 0, 999, "Ibuprofen", "Drug"),
            r":3: 'Ibuprofen', 0 to 999, is not in title",
        ),
        (
            row("7", 7, 7, "", "Drug"),
            r":3: start '7' and end '7': give whole numbers",
        ),
        (row("7", -1, 7, "Aspirin", "Drug"), r":3: start '-1' and end '7'"),
        (row("7", "0", "x", "Aspirin", "Drug"), r":3: start '0' and end 'x'"),
        (
            row("7", 12, 28, "colitis. Aspirin", "X"),
            r":3: 'colitis. Aspirin' goes on from",
        ),
        (row("7", 0, 7, "Aspirin"), r":3: 4 columns, where ID, start, end, mention and type"),
        (row("7", 0, 7, "Aspirin", " "), r":3: 5 columns, where ID, start, end, mention and type"),
        (row("7", "CID", "D1"), r":3: relation 'CID' needs two arguments"),
        (row("8", 0, 7, "Aspirin", "Drug"), r":3: of '8', whose title does not stand before"),
        (
            "Aspirin may help.\n",
            r":3: no ID\|t\|, no ID\|a\| and no columns between tabs: ",
        ),
        ("7|a|More.\n", r":3: a second abstract of '7'"),
        ("8|a|More.\n", r":3: an abstract of '8' without its title"),
        (
            "7|t|Another\n",
            r":3: id '7' stands at .*:1 already, with another text",
        ),
    ],
)
def test_faults_name_file_and_line(tmp_path, rows, message):
    with pytest.raises(UserError, match=r"x\.PubTator" + message):
        read(tmp_path, HEAD + rows)
    # All can be collected, and the rest is kept.
    faults = []
    good = "\n9|t|colitis\n9\t0\t7\tcolitis\tDisease\n"
    found = read(tmp_path, HEAD + rows + good, fault=lambda *fault: faults.append(fault))
    assert len(faults) == 1
    assert [document.id for document in found] == ["7", "9"]
    assert len(found[1].annotations) == 1


def test_a_document_that_stands_twice_word_for_word_is_noted(tmp_path):
    notes = Lines()
    path = written(tmp_path, (HEAD + mention("colitis") + "\n") * 2)
    assert len(read_pubtator(path, note=notes.of(path))) == 2
    assert notes.shown() == [f"{path}:5: document 7 again, the same as at {path}:1"]


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_a_file_without_documents_is_refused(tmp_path, text):
    with pytest.raises(UserError, match=r"x\.PubTator: no documents"):
        read(tmp_path, text)
    with pytest.raises(UserError, match=r"absent: no such file"):
        read_pubtator(tmp_path / "absent")


@pytest.mark.parametrize(
    ("name", "documents", "mentions", "mended"),
    [
        ("BC5CDR_TrainDev", 1000, 18974, 0),
        ("BC5CDR_Test", 500, 9796, 0),
        ("BioRED_TrainDev", 500, 16884, 0),
        ("BioRED_Test", 100, 3535, 0),
        ("NCBIdisease_TrainDev", 693, 5932, 2),
        ("NCBIdisease_Test", 100, 960, 0),
        ("GNormPlus_Train", 432, 5793, 3),
        ("GNormPlus_Test", 262, 4849, 2),
    ],
)
def test_corpora_have_the_published_counts(shared_data, name, documents, mentions, mended):
    path = shared_data / f"annotated/{name}.PubTator.gz"
    notes = Lines()
    found = read_pubtator(path, note=notes.of(path))
    assert len(found) == documents
    assert sum(len(document.annotations) for document in found) == mentions
    assert len(notes.shown()) == mended
    for passage in (passage for document in found for passage in document.passages):
        for own in passage.annotations:
            assert passage.text[own.start - passage.offset : own.end - passage.offset] == own.text
