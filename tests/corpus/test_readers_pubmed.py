import gzip
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.corpus.documents import CorpusFileError, Document, ReadCounts
from biobert_jax.corpus.readers.pubmed import read_pubmed

HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE PubmedArticleSet SYSTEM '
    '"http://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_190101.dtd">\n'
)


def article(title="", abstract="", after="", pmid="1"):
    title = f"<ArticleTitle>{title}</ArticleTitle>"
    abstract = f"<Abstract>{abstract}</Abstract>" if abstract else ""
    return (
        f'<PubmedArticle><MedlineCitation><PMID Version="1">{pmid}</PMID>'
        f"<Article>{title}{abstract}</Article>{after}</MedlineCitation></PubmedArticle>\n"
    )


def write(folder, *articles, head=HEAD, end="</PubmedArticleSet>"):
    path = folder / "pubmed.xml"
    path.write_text(f"{head}<PubmedArticleSet>\n{''.join(articles)}{end}", encoding="utf-8")
    return path


def passages(folder, *articles, **options):
    return [d.passages for d in read_pubmed(write(folder, *articles), **options)]


SECTIONS = (
    '<AbstractText Label="AIM\n OF" NlmCategory="OBJECTIVE">To see.</AbstractText>'
    '<AbstractText Label="UNLABELLED">To look.</AbstractText><AbstractText Label="NONE"/>'
    "<AbstractText>To tell.</AbstractText><CopyrightInformation>(c) Us.</CopyrightInformation>"
)
OTHER = (
    '<OtherAbstract Type="Publisher" Language="ger"><AbstractText>Auf Deutsch.</AbstractText>'
    "<CopyrightInformation>(c) Wir.</CopyrightInformation></OtherAbstract>"
)


def test_options(tmp_path):
    one = article("A title.", SECTIONS, OTHER)
    assert passages(tmp_path, one) == [("A title.", "To see.", "To look.", "To tell.")]
    assert passages(tmp_path, one, titles=False) == [("To see.", "To look.", "To tell.")]
    assert passages(tmp_path, one, section_labels=True) == [
        ("A title.", "AIM OF: To see.", "To look.", "To tell.")
    ]
    assert passages(tmp_path, one, other_abstracts=True) == [
        ("A title.", "To see.", "To look.", "To tell.", "Auf Deutsch.")
    ]


def test_inline_markup_is_flattened_and_white_space_is_made_one_space(tmp_path):
    text = (
        "<AbstractText>\n  CO<sub>2</sub> and <i>E. <b>coli</b></i>,<!-- a\nremark -->\n\t10<sup>"
        "-3</sup>\u00a0M<?do it?>; a &lt; b &amp; <mml:math xmlns:mml='http://www.w3.org/1998/"
        "Math/MathML'><mml:mi>x</mml:mi><mml:mo>=</mml:mo></mml:math>1.\n</AbstractText>"
    )
    assert passages(tmp_path, article("<i>Aus</i>: a\n new\tmoth.", text)) == [
        ("Aus: a new moth.", "CO2 and E. coli, 10-3 M; a < b & x=1.")
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("60,000/mm&lt;PRE&gt;3&lt;/PRE&gt;.", "60,000/mm3."),
        ("&lt;b&gt;CO&lt;sub&gt;2&lt;/sub&gt;&lt;/b&gt; fell.", "CO2 fell."),
        ("a &lt;b&gt; c", "a <b> c"),
        ("0.1 &lt;A(CP)(B--&gt;K) &lt;/&gt;", "0.1 <A(CP)(B-->K) </>"),
    ],
)
def test_escaped_markup_is_removed_and_comparisons_are_not(tmp_path, text, expected):
    assert passages(tmp_path, article(text)) == [(expected,)]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("[A translation].", "A translation."),
        ("[A translation.]", "A translation."),
        ("[A question?].", "A question?"),
        ("[A translation]", "A translation"),
        ("[Of [3H]uptake (author's transl)].", "Of [3H]uptake (author's transl)."),
        ("[3H]uptake and [14C].", "[3H]uptake and [14C]."),
        ("[3H]uptake in rats.", "[3H]uptake in rats."),
        ("Uptake of [14C].", "Uptake of [14C]."),
        ("[<i>In vitro</i> work].", "In vitro work."),
        ("[Not Available].", None),
        ("[In Process Citation]", None),
        ("[ ].", None),
    ],
)
def test_titles_in_brackets(tmp_path, title, expected):
    text = "<AbstractText>Text.</AbstractText>"
    expected = ("Text.",) if expected is None else (expected, "Text.")
    assert passages(tmp_path, article(title, text)) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It grew.(ABSTRACT TRUNCATED AT 250 WORDS)", "It grew."),
        ("It grew (ABSTRACT TRUNCATED AT 4,096 WORDS)", "It grew"),
        ("It grew ABSTRACT TRUNCATED", "It grew"),
        ("One. [ABSTRACT TRUNCATED] Two.", "One. Two."),
        ("The abstract truncated at 250 words", "The abstract truncated at 250 words"),
    ],
)
def test_truncation_marks_are_removed(tmp_path, text, expected):
    abstract = f"<AbstractText>{text}</AbstractText>"
    assert passages(tmp_path, article("", abstract)) == [(expected,)]


def test_records_without_text_are_counted(tmp_path):
    blank = "<AbstractText> \n</AbstractText><AbstractText/>"
    only_mark = "<AbstractText>(ABSTRACT TRUNCATED AT 250 WORDS)</AbstractText>"
    path = write(
        tmp_path,
        article(" ", pmid="1"),
        article("A title.", pmid="2"),
        article("", blank, OTHER, pmid="3"),
        article("", only_mark, pmid="4"),
        "<PubmedArticle/>",
        "<DeleteCitation><PMID>9</PMID></DeleteCitation>",
    )
    counts = ReadCounts()
    assert list(read_pubmed(path, counts=counts)) == [Document("2", ("A title.",))]
    assert counts == ReadCounts(documents=1, empty=4, bytes=path.stat().st_size)


def test_book_chapters_are_read_like_articles(tmp_path):
    book = (
        "<PubmedBookArticle><BookDocument><PMID>7</PMID><Book><BookTitle>Genes</BookTitle></Book>"
        "{}<Abstract><AbstractText>A <i>gene</i>.</AbstractText></Abstract></BookDocument>"
        "<PubmedBookData/></PubmedBookArticle>"
    )
    title = "<ArticleTitle>BRCA1</ArticleTitle>"
    path = write(tmp_path, article("A."), book.format(title), book.format(""))
    assert list(read_pubmed(path)) == [
        Document("1", ("A.",)),
        Document("7", ("BRCA1", "A gene.")),
        Document("7", ("Genes", "A gene.")),
    ]


def test_a_single_record_and_one_without_pmid(tmp_path):
    path = tmp_path / "one.xml"
    path.write_text(article("A title.", pmid=" 5\n"))
    assert list(read_pubmed(path)) == [Document("5", ("A title.",))]
    path.write_text(re.sub("<PMID.*</PMID>", "", article("A title.")))
    assert list(read_pubmed(path)) == [Document("one.xml:1", ("A title.",))]


def test_xml_says_its_own_encoding(tmp_path):
    path = tmp_path / "latin.xml"
    body = f"<PubmedArticleSet>{article('Café.')}</PubmedArticleSet>"
    for encoding in ("latin1", "utf-16", "utf-8-sig"):
        name = encoding.removesuffix("-sig")
        path.write_bytes(f'<?xml version="1.0" encoding="{name}"?>{body}'.encode(encoding))
        assert [d.passages for d in read_pubmed(path)] == [("Café.",)]


def test_broken_xml_yields_what_came_before_and_names_the_place(tmp_path):
    many = [article(f"Title {i}.", pmid=str(i)) for i in range(2000)]
    for broken, reason in [
        ("<PubmedArticle><i>x</b></PubmedArticle>\n", "Opening and ending tag mismatch"),
        ("<PubmedArticle>a & b</PubmedArticle>\n", "xmlParseEntityRef"),
        ("<PubmedArticle>\x01</PubmedArticle>\n", "invalid"),
    ]:
        path = write(tmp_path, *many, broken, *many)
        got = []
        with pytest.raises(CorpusFileError, match=reason) as caught:
            got.extend(read_pubmed(path))
        assert [d.id for d in got] == [str(i) for i in range(2000)]
        assert re.fullmatch(r"2004:\d+", caught.value.position)
        assert str(caught.value).startswith(f"{path}:2004:")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("end", ["", "<PubmedArticle>", "</PubmedArticleSet>x", "</Other>"])
def test_an_end_that_is_missing_or_wrong(tmp_path, end):
    got = []
    with pytest.raises(CorpusFileError, match="not well-formed XML"):
        got.extend(read_pubmed(write(tmp_path, article("A."), end=end)))
    assert len(got) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "other.xml: not well-formed XML: no element found"),
        (b"\n\n", "not well-formed XML"),
        (b"PMID- 1\nTI  - A title.\n", "not well-formed XML"),
        (HEAD.encode(), "not well-formed XML"),
        (b"\n<article><front/></article>", ":2: not PubMed XML: the root element is article"),
    ],
)
def test_files_that_are_not_pubmed_xml(tmp_path, data, reason):
    path = tmp_path / "other.xml"
    path.write_bytes(data)
    with pytest.raises(CorpusFileError, match=reason):
        list(read_pubmed(path))


def bomb(use):
    entities = '<!ENTITY e0 "ha">' + "".join(
        f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12)
    )
    return f"<!DOCTYPE PubmedArticleSet [{entities}]>{use}"


@pytest.mark.parametrize(
    "text",
    [
        bomb(f"<PubmedArticleSet>{article('&e11;')}</PubmedArticleSet>"),
        bomb('<PubmedArticleSet a="&e11;"/>'),
        bomb(" " * 5000 + '<PubmedArticleSet a="&e11;"/>'),
        f'<!DOCTYPE PubmedArticleSet [<!ENTITY big "{"x" * 50_000}">]>'
        f"<PubmedArticleSet>{article('&big;' * 50_000)}</PubmedArticleSet>",
        '<!DOCTYPE PubmedArticleSet [<!ENTITY x SYSTEM "{secret}">]>'
        f"<PubmedArticleSet>{article('&x;')}</PubmedArticleSet>",
        '<!DOCTYPE PubmedArticleSet [<!ENTITY % x SYSTEM "{secret}"> %x;]>'
        f"<PubmedArticleSet>{article('A.')}</PubmedArticleSet>",
    ],
    ids=["text", "attribute", "padded", "quadratic", "external", "parameter"],
)
def test_entity_declarations_are_refused_at_once(tmp_path, text):
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    path = tmp_path / "bomb.xml"
    path.write_text(text.replace("{secret}", secret.as_uri()))
    start = time.perf_counter()
    with pytest.raises(CorpusFileError) as caught:
        list(read_pubmed(path))
    assert time.perf_counter() - start < 2
    assert "entities" in str(caught.value) or "not well-formed" in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_the_dtd_named_by_doctype_is_not_read(tmp_path):
    dtd = tmp_path / "evil.dtd"
    dtd.write_text('<!ENTITY x "SECRET">')
    head = f'<!DOCTYPE PubmedArticleSet SYSTEM "{dtd.as_uri()}">\n'
    documents = list(read_pubmed(write(tmp_path, article("A &x; b."), head=head)))
    assert "SECRET" not in documents[0].passages[0]


def test_truncated_files_yield_what_came_before(tmp_path):
    path = write(tmp_path, *(article(f"Title {i}.", pmid=str(i)) for i in range(300)))
    data = gzip.compress(path.read_bytes())
    for length in range(20, len(data), len(data) // 50):
        path.write_bytes(data[:length])
        got = []
        with pytest.raises(CorpusFileError, match="gzip data ends too early"):
            got.extend(read_pubmed(path))
        assert [d.id for d in got] == [str(i) for i in range(len(got))]
    assert len(got) > 250


@settings(max_examples=200)
@given(st.data())
def test_a_flipped_bit_is_refused_or_harmless(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip")
    path = write(folder, article("A title.", SECTIONS, pmid="1"), article("B.", pmid="2"))
    raw = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    path.write_bytes(raw)
    try:
        assert len(list(read_pubmed(path))) <= 2
    except CorpusFileError as error:
        assert "\n" not in str(error)


# No slash: a closing tag in the text would count as escaped markup.
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="/")
).map(lambda s: re.sub("[\ufffe\uffff]", "", s))


@given(st.lists(st.tuples(TEXT, st.lists(TEXT))))
def test_what_is_written_is_read(tmp_path_factory, records):
    def escape(text):
        return text.replace("&", "&amp;").replace("<", "&lt;").replace("]]>", "]]&gt;")

    articles = [
        article("", "".join(f"<AbstractText>{escape(s)}</AbstractText>" for s in (t, *sections)))
        for t, sections in records
    ]
    expected = [
        tuple(" ".join(s.split()) for s in (t, *sections) if s.strip()) for t, sections in records
    ]
    assert passages(tmp_path_factory.mktemp("xml"), *articles) == [e for e in expected if e]


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "big.xml.gz"
    block = "".join(article("A title.", SECTIONS + "\n" * 500, OTHER) for _ in range(500))
    with gzip.open(path, "wt", compresslevel=1) as stream:
        stream.write(HEAD + "<PubmedArticleSet>")
        for _ in range(80):
            stream.write(block)
        stream.write("</PubmedArticleSet>")
    script = (
        "import resource, sys\n"
        "from biobert_jax.corpus.readers.pubmed import read_pubmed\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for number, _ in enumerate(read_pubmed(sys.argv[1])):\n"
        "    if number == 2000: before = peak()\n"
        "print(number + 1, peak() - before)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=True
    )
    number, grown_kib = map(int, run.stdout.split())
    assert number == 40_000
    assert grown_kib < 2048  # The tree of the whole file would take some 100 MiB.


FILES = ["sample18n0001", "21n0001", "21n1000", "21n1001", "21n1002", "21n1003"]


@pytest.mark.parametrize("name", FILES)
def test_real_files(shared_data, name):
    path = shared_data / f"corpus/pubmed/pubmed{name}.xml.gz"
    xml = gzip.decompress(path.read_bytes())
    counts = ReadCounts()
    documents = list(read_pubmed(path, counts=counts))
    assert counts.documents == len(documents)
    assert counts.documents + counts.empty == xml.count(b"<PubmedArticle>")
    assert counts.bytes == len(xml)
    for document in documents:
        assert document.id.isdigit()
        for passage in document.passages:
            assert not re.search(r"<(?:i|b|u|sub|sup)/?>|<mml:|</|\n|  |TRUNCATED AT", passage)
            assert not passage.startswith("[") and passage == passage.strip() != ""

    # An independent parse: title and abstract, white space apart.
    expected = {}
    for record in ElementTree.fromstring(xml).iter("MedlineCitation"):
        title = "".join(record.find("Article/ArticleTitle").itertext())
        parts = [title, *("".join(s.itertext()) for s in record.iterfind("Article/Abstract/*"))]
        notice = record.find("Article/Abstract/CopyrightInformation")
        parts = parts if notice is None else parts[:-1]
        if any(part.strip() for part in parts):
            expected[record.find("PMID").text] = " ".join(" ".join(parts).split())
    got = {d.id: " ".join(d.passages) for d in documents}
    assert got.keys() == expected.keys()
    for pmid, text in expected.items():
        text = text.replace("<PRE>", "").replace("</PRE>", "")  # In the sample, escaped.
        assert got[pmid] == re.sub(r"^\[(.*?)\]\.(?= |$)", r"\1.", text)
