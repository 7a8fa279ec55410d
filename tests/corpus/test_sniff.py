"""Formats told by their first bytes: the right name for each, none for text that looks alike."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.corpus.formats import FORMATS
from biobert_jax.corpus.readers.sniff import _WHAT, HEAD_BYTES, Expected, sniff, wrong_format

XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
PUBMED = (
    '<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January 2019//EN" '
    '"https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_190101.dtd">\n<PubmedArticleSet>\n'
)
BIOC = "<!DOCTYPE collection SYSTEM 'BioC.dtd'><collection><source>x</source>"
JATS = '<article xmlns:xlink="http://www.w3.org/1999/xlink" article-type="research-article">'
COLUMNS = "Deep\tO\nvein\tB-Disease\nthrombosis\tI-Disease\n.\tO\n\nIt\tO\n"


@pytest.mark.parametrize(
    "text, name",
    [
        (XML + PUBMED, "pubmed"),
        ("\ufeff\n " + XML + "<!-- cut -->\n" + PUBMED, "pubmed"),
        ("<PubmedArticle><MedlineCitation>", "pubmed"),
        (XML + JATS, "pmc"),
        (JATS + "<front>", "pmc"),
        ("<article>\n<front>", "pmc"),
        (XML + "<pmc-articleset>" + JATS, "pmc"),
        ('<?xml version="1.0"?><OAI-PMH xmlns="x"><responseDate>', "pmc"),
        (XML + BIOC, "bioc"),
        ("<collection><source></source><date/>", "bioc"),
        (XML + "<TEI xmlns='http://www.tei-c.org/ns/1.0'>", "xml"),
        (XML + "<collection><book>", "xml"),
        ("<!doctype html>\n<title>x", "html"),
        ('<html lang="en">', "html"),
        (XML + "<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0//EN'><html>", "html"),
        ('{"text": "a"}\n', "jsonl"),
        ('\ufeff{"id": 1, "text": "a"}', "jsonl"),
        ('{"abstract": "a"}\n{"abstract": "b"}\n', "jsonl"),
        ('{"id": 1, "text": "' + "a" * HEAD_BYTES, "jsonl"),
        ('{"text": "a", "passages": []}\n', "jsonl"),
        ('[\n  {"text": "a"}\n]\n', "json"),
        ('{\n  "text": "a"\n}\n', "json"),
        ('["a", "b"]', "json"),
        ('{"source": "x", "infons": {}, "documents": [{"id": "1"', "bioc_json"),
        ('[{"bioctype": "BioCCollection", "documents": [', "bioc_json"),
        ('{"id": "1", "infons": {}, "passages": [{"text": "a"}]}\n', "bioc_json"),
        ("123|t|A title\n123|a|An abstract\n123\t0\t1\tA\tGene\t7\n", "pubtator"),
        ("\nPMC1|t|A title\r\nPMC1|a|\r\n", "pubtator"),
        (COLUMNS, "conll"),
        ("-DOCSTART- -X- O O\n\n" + COLUMNS.replace("\t", " NN "), "conll"),
        (COLUMNS * 9999, "conll"),
        ("{\\rtf1\\ansi", "rtf"),
        ("%PDF-1.4\n", "pdf"),
        (" \n%PDF-1.4\n", "pdf"),
        # Text: chance at its beginning.
        ("", ""),
        ("Aspirin helps.\n", ""),
        ("<0.05 was significant.\n", ""),
        ("<p>A paragraph of somebody's export</p>\n", ""),
        ("<article> is an element of HTML 5.\n", ""),
        ("<collection> of samples", ""),
        ("{see text} in braces\n", ""),
        ("[Article in French] Un titre.\n", ""),
        ("[1] First reference.\n", ""),
        ('["Hello", the title said.]\n', ""),
        ('["Schizophrenia"]. A review.\n', ""),
        ('{"quoted"} words\n', ""),
        ("PAR1 is a receptor.\n", ""),
        ("BZh is an abbreviation.\n", ""),
        ("BZh9 is, too.\n", ""),
        ("Patients were of group O\nor of group B\n", ""),
        ("a B\nb O\nc B\nd O\nand e\n", ""),
        ("1|t|no abstract behind it\n\n2|t|another\n", ""),
    ],
)
def test_formats_have_their_names(text, name):
    assert sniff(text.encode()[:HEAD_BYTES]) == name


@pytest.mark.parametrize(
    "head, name",
    [
        (b"BZh91AY&SY", "bzip2"),
        (b"\xfd7zXZ\x00\x00", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstandard"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"PK\x03\x04\x14\x00", "zip"),
        (b"PK\x03\x04\x14\x00" + bytes(24) + b"[Content_Types].xml", "docx"),
        (b"PK\x03\x04" + bytes(26) + b"mimetypeapplication/vnd.oasis.opendocument.text", "docx"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "doc"),
        (b"PAR1\x15\x04\x15", "parquet"),
        ("\ufeffabc".encode("utf-16-le"), "utf-16"),
        ("Aspirin helps.".encode("utf-16-le"), "utf-16le"),
        ("Aspirin helps.".encode("utf-16-be"), "utf-16be"),
        ("\ufeffabc".encode("utf-32-le"), "utf-32"),
    ],
)
def test_what_is_no_text_is_told_by_its_first_bytes(head, name):
    assert sniff(head) == name


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_have_a_name_that_can_be_explained(head):
    name = sniff(head)
    assert not name or name in _WHAT


@pytest.mark.parametrize("name, what", _WHAT.items())
def test_everything_has_a_remedy(name, what):
    assert what[0] and (what[1] or name in FORMATS)


@pytest.mark.parametrize(
    "text, wanted, reason",
    [
        (XML + PUBMED, "text", "this is PubMed XML: use --format pubmed"),
        (XML + PUBMED, "bioc", "this is PubMed XML: use --format pubmed"),
        (XML + BIOC, "jsonl", "this is BioC XML: use --format bioc"),
        (JATS, "pubmed", "this is JATS XML, as PMC has it: use --format pmc"),
        ('{"text": "a"}\n', "text", "this is JSON lines: use --format jsonl"),
        ('{"text": "a"}\n', "pubmed", "this is JSON lines: use --format jsonl"),
        ("{\n", "text", ""),
        ('{\n "text": "a"\n}', "jsonl", 'this is one JSON document: write an object with "text"'),
        (COLUMNS, "text", "this is words and labels in columns (CoNLL): that is for biobert"),
        ("%PDF-1", "jsonl", "this is a PDF: extract its text first (pdftotext)"),
        ("<!DOCTYPE html><html>", "pubmed", "this is HTML: extract its text first"),
        # Their readers say what is wrong there.
        (XML + "<TEI>", "pmc", ""),
        ('{"text": "cut', "jsonl", ""),
        ('{"text": "a"\n', "jsonl", ""),
        ('["a"]\n', "jsonl", ""),
        ('\n{"a": 1,\n', "jsonl", ""),
        ("plain", "jsonl", ""),
        # Nothing but packing counts where nothing is expected.
        (XML + PUBMED, "", ""),
    ],
)
def test_another_format_is_refused_with_what_to_do(text, wanted, reason):
    found = wrong_format(text.encode(), Expected(wanted))
    assert found.startswith(reason) and bool(found) == bool(reason)


def test_the_option_of_the_verb_is_named():
    head = (XML + PUBMED).encode()
    reason = wrong_format(head, Expected("text", "--input_format", ("text", "jsonl")))
    assert reason == "this is PubMed XML: --input_format takes text, jsonl only"
    reason = wrong_format(head, Expected("conll", option="", formats=()))
    assert reason == "this is PubMed XML: words and labels in columns (CoNLL) is wanted here"


def test_archives_are_for_pmc_alone():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.xml"))
    head = stream.getvalue()[:HEAD_BYTES]
    assert sniff(head) == "tar" and not wrong_format(head, Expected("pmc"))
    assert wrong_format(head, Expected("text")) == "this is a tar archive: unpack it"


def test_real_files_are_what_they_are_called(shared_data):
    from biobert_jax.corpus.readers.compressed import open_bytes

    expected = {"pubmed": "pubmed", "pmc": "tar", "text": "", "general": ""}
    for folder, name in expected.items():
        for path in sorted((shared_data / "corpus" / folder).rglob("*.gz")):
            with open_bytes(path) as stream:
                found = sniff(stream.read(HEAD_BYTES))
            assert found == ("jsonl" if ".jsonl" in path.name else name), path
    for path in (shared_data / "annotated").glob("*.gz"):
        with open_bytes(path) as stream:
            assert sniff(stream.read(HEAD_BYTES)) == "pubtator", path
    for path in (shared_data / "ner").rglob("*.tsv"):
        with open_bytes(path) as stream:
            assert sniff(stream.read(HEAD_BYTES)) == "conll", path
