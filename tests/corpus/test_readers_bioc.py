import gzip

import pytest

from biobert_jax.corpus.documents import CorpusFileError, Document, ReadCounts, ReadOptions, Share
from biobert_jax.corpus.readers.bioc import read_bioc

HEAD = '<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE collection SYSTEM "BioC.dtd">'


def infons(**values):
    return "".join(f'<infon key="{key}">{value}</infon>' for key, value in values.items())


def passage(text, **values):
    return (
        f"<passage>{infons(**values)}<offset>0</offset><text>{text}</text><annotation id='1'>"
        f"{infons(type='Gene')}<location offset='0' length='1'/><text>x</text></annotation>"
        "</passage>"
    )


def write(folder, *documents, head=HEAD):
    path = folder / "corpus.xml"
    documents = "".join(f"<document>{document}</document>" for document in documents)
    path.write_text(
        f"{head}<collection><source>PubTator</source><date/><key>x.key</key>{documents}"
        "</collection>",
        encoding="utf-8",
    )
    return path


def test_titles_abstracts_and_passages_without_a_type(tmp_path):
    path = write(
        tmp_path,
        "<id>7</id>"
        + passage("A  title", type="title")
        + passage("Text &amp;\nmore &amp;lt; 5.", type="abstract"),
        "<id> 8 </id>" + passage("No type."),
        passage("No id."),
        "<id>9</id>" + passage(" "),
        "<id>10</id>",
    )
    counts = ReadCounts()
    assert list(read_bioc(path, counts=counts)) == [
        Document("7", ("A title", "Text & more < 5.")),
        Document("8", ("No type.",)),
        Document("corpus.xml:3", ("No id.",)),
    ]
    assert counts == ReadCounts(documents=3, empty=2, bytes=path.stat().st_size)


def test_sentences_are_joined(tmp_path):
    sentences = "<sentence><offset>0</offset><text>{}</text></sentence>"
    text = f"<passage>{sentences.format('One.')}{sentences.format(' Two. ')}</passage>"
    assert [d.passages for d in read_bioc(write(tmp_path, text))] == [("One. Two.",)]


# Types and section types as PMC's service writes them.
PMC = "<id>PMC1</id>" + "".join(
    passage(text, type=kind, section_type=section, **more)
    for text, kind, section, more in [
        ("A title", "front", "TITLE", {"license": "CC BY", "year": "2014"}),
        ("Background", "abstract_title_1", "ABSTRACT", {}),
        ("Abstract.", "abstract", "ABSTRACT", {}),
        ("Introduction", "title_1", "INTRO", {}),
        ("Text.", "paragraph", "INTRO", {}),
        ("A figure.", "fig_caption", "FIG", {}),
        ("A figure's title", "fig_title_caption", "FIG", {}),
        ("A table.", "table_caption", "TABLE", {}),
        ("1 2 3", "table", "TABLE", {}),
        ("a: note", "table_footnote", "TABLE", {}),
        ("We thank.", "paragraph", "ACK_FUND", {}),
        ("All wrote.", "paragraph", "AUTH_CONT", {}),
        ("A file.", "paragraph", "SUPPL", {}),
        ("References", "title", "REF", {}),
        ("Smith J", "ref", "REF", {}),
        ("A note.", "footnote", "", {}),
    ]
)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "A title|Abstract.|Text."),
        ({"titles": False}, "Abstract.|Text."),
        ({"section_labels": True}, "A title|Background|Abstract.|Introduction|Text."),
        ({"captions": True}, "A title|Abstract.|Text.|A figure.|A figure's title|A table."),
        ({"licenses": ("cc-by",), "first_year": 2014, "last_year": 2014},
         "A title|Abstract.|Text."),
        ({"licenses": ("CC0",)}, None),
        ({"first_year": 2015}, None),
    ],
)  # fmt: skip
def test_passages_of_pmc_by_type(tmp_path, options, expected):
    counts = ReadCounts()
    documents = list(read_bioc(write(tmp_path, PMC), options=ReadOptions(**options), counts=counts))
    assert ["|".join(d.passages) for d in documents] == ([expected] if expected else [])
    assert counts.dropped.total() == (expected is None)


@pytest.mark.parametrize(
    ("licenses", "name"),
    [
        (["CC BY"], "CC BY"),
        (["under the Creative Commons Attribution License"], "CC BY"),
        (["under the Creative Commons Attribution-NonCommercial License"], "CC BY-NC"),
        (["CC BY", "CC BY-NC"], "CC BY-NC"),
    ],
)
def test_the_strictest_of_all_licenses_counts(tmp_path, licenses, name):
    path = write(tmp_path, "".join(passage("Text.", license=license) for license in licenses))
    for wanted in ("CC BY", "CC BY-NC"):
        documents = list(read_bioc(path, options=ReadOptions(licenses=(wanted,))))
        assert len(documents) == (wanted == name)


def test_faults_come_after_the_documents_before_them(tmp_path):
    path = write(tmp_path, *[f"<id>{n}</id>{passage('A.')}" for n in range(500)], "<b></i>")
    for share in (Share(), Share(1, 2)):
        got = []
        with pytest.raises(CorpusFileError, match=r"corpus.xml:1:\d+: not well-formed XML"):
            got.extend(read_bioc(path, share=share))
        assert [int(d.id) for d in got] == [n for n in range(500) if share.holds(n)]
    path.write_bytes(gzip.compress(b"<article/>"))
    with pytest.raises(CorpusFileError, match="not BioC XML: the root element is article"):
        list(read_bioc(path))
