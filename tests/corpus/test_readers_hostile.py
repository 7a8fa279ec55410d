"""What a hostile file must not do to a reader: fill memory, hang, crash it, or reach out."""

import io
import json
import socket
import subprocess
import sys
import tarfile

import pytest

from biobert_jax.corpus.documents import CorpusFileError
from biobert_jax.corpus.readers import READERS, xml

PUBMED = "<PubmedArticle><MedlineCitation><PMID>1</PMID><Article><ArticleTitle>{}</ArticleTitle>"
PUBMED += "</Article></MedlineCitation></PubmedArticle>"
PMC = "<front><article-meta><title-group><article-title>{}</article-title></title-group>"
PMC += "</article-meta></front>"
BIOC = "<document><id>1</id><passage><text>{}</text></passage></document>"
FORMATS = {
    "pubmed": ("PubmedArticleSet", PUBMED),
    "pmc": ("article", PMC),
    "bioc": ("collection", BIOC),
}

# A process of its own, for a peak of memory of its own. The readers are warmed up first, so that
# their imports and lxml's are not counted.
SCRIPT = """
import json, os, resource, sys, tempfile, time
from biobert_jax.corpus.documents import CorpusFileError, ReadCounts
from biobert_jax.corpus.readers import open_documents

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

format, *paths = sys.argv[1:]
with tempfile.NamedTemporaryFile("w") as small:
    small.write("<x/>")
    small.flush()
    try:
        list(open_documents(small.name, format))
    except CorpusFileError:
        pass
before = peak()
results = []
for path in paths:
    start = time.perf_counter()
    counts = ReadCounts()
    error, documents = "", []
    try:
        documents = [d.passages[0][:1000] for d in open_documents(path, format, counts=counts)]
    except CorpusFileError as e:
        error = str(e)
    results.append({
        "error": error, "failed": list(counts.failed.values()), "documents": documents,
        "seconds": time.perf_counter() - start, "mib": peak() - before,
    })
print(json.dumps(results))
"""


def read(format, *paths):
    """What came of each file, read one after the other; `mib` is the process's peak so far."""
    command = [sys.executable, "-c", SCRIPT, format, *paths]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def entity_chain(count, times):
    steps = (f'<!ENTITY e{i} "{f"&e{i - 1};" * times}">' for i in range(1, count))
    return '<!ENTITY e0 "ha">' + "".join(steps)


@pytest.fixture
def server():
    """A socket to which nobody must connect; libxml2's own are seen by no hook of Python's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(BlockingIOError):
            server.accept()


def bombs(secret="", server=""):
    """Name to (what DOCTYPE holds, attributes of the root, text)."""
    return {
        "laughs": (entity_chain(12, 10), "", "&e11;"),
        "attribute": (entity_chain(12, 10), ' a="&e11;"', ""),
        "quadratic": (f'<!ENTITY big "{"x" * 50_000}">', "", "&big;" * 50_000),
        "recursive": ('<!ENTITY a "&b;"><!ENTITY b "&a;">', "", "&a;"),
        "many": ("".join(f'<!ENTITY e{i} "{i}">' for i in range(200_000)), "", "&e7;"),
        "external": (f'<!ENTITY x SYSTEM "{secret}">', "", "&x;"),
        "network": (f'<!ENTITY x SYSTEM "{server}/x">', "", "&x;"),
        "parameter": (f'<!ENTITY % x SYSTEM "{secret}"> %x;', "", "a"),
        "parameters": (
            f'<!ENTITY % a "<!ENTITY &#37; b SYSTEM \'{server}/x\'>"> %a; %b;', "", "a"
        ),
    }  # fmt: skip


def bomb(name, format, secret, server):
    declared, attributes, text = bombs(secret, server)[name]
    root, record = FORMATS[format]
    record = record.format(text)
    return f"<!DOCTYPE {root} [{declared}]><{root}{attributes}>{record}</{root}>"


@pytest.mark.parametrize("format", FORMATS)
def test_entities_are_refused_without_reaching_out(tmp_path, server, format):
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    paths = [tmp_path / f"{name}.xml" for name in bombs()]
    for path in paths:
        path.write_text(bomb(path.stem, format, secret.as_uri(), server))
    results = read(format, *paths)
    assert len(results) == len(paths)
    for result in results:
        assert "entities" in result["error"] or "not well-formed" in result["error"]
        assert "\n" not in result["error"] and "SECRET" not in result["error"]
        assert result["documents"] == []
        assert result["seconds"] < 2 and result["mib"] < 200


@pytest.mark.parametrize("format", FORMATS)
def test_a_dtd_elsewhere_is_not_read(tmp_path, server, format):
    dtd = tmp_path / "evil.dtd"
    dtd.write_text('<!ENTITY x "SECRET">')
    root, record = FORMATS[format]
    paths = [tmp_path / "file.xml", tmp_path / "network.xml"]
    for path, address in zip(paths, (dtd.as_uri(), f"{server}/evil.dtd"), strict=True):
        path.write_text(
            f'<!DOCTYPE {root} PUBLIC "-//X//Y//EN" "{address}">'
            f"<{root}>{record.format('A&x;&nbsp;&alpha;.')}</{root}>"
        )
    for result in read(format, *paths):
        # HTML's names are known without a DTD; nothing else is.
        assert result["documents"] == ["A&x; α."]


def one_big(format, kind):
    root, record = FORMATS[format]
    before, after = f"<{root}>{record}</{root}>".split("{}")
    yield before.encode()
    if kind == "text":
        for _ in range(100):
            yield b"word " * 200_000
    elif kind == "deep":
        yield b"<i>" * 100_000
    elif kind == "elements":
        for _ in range(20):
            yield b"<i/>" * 200_000
    elif kind == "attributes":
        for _ in range(20):
            yield b"<i " + b" ".join(b'a%d=""' % j for j in range(200_000)) + b"/>"
    elif kind == "tag":
        yield b"<i" + b"x" * 30_000_000
    elif kind == "attribute":
        yield b'<i a="' + b"x" * 30_000_000
    yield after.encode()


def check_refused(folder, format, kinds, mib):
    paths = [folder / f"{kind}.xml" for kind in kinds]
    for path in paths:
        with path.open("wb") as stream:
            stream.writelines(one_big(format, path.stem))
    for path, result in zip(paths, read(format, *paths), strict=True):
        assert result["error"].startswith(str(path)) and "\n" not in result["error"]
        assert len(result["error"]) < 1000 and result["documents"] == []
        assert result["mib"] < mib and result["seconds"] < 30


@pytest.mark.parametrize("format", FORMATS)
def test_what_exceeds_the_limits_of_libxml2_is_refused(tmp_path, format):
    check_refused(tmp_path, format, ["text", "deep", "tag", "attribute"], mib=150)


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", ["elements", "attributes"])
def test_what_exceeds_our_own_limits_is_refused(tmp_path, format, kind):
    check_refused(tmp_path, format, [kind], mib=1000)


@pytest.mark.parametrize("format", FORMATS)
def test_our_own_limits(tmp_path, format, monkeypatch):
    root, record = FORMATS[format]
    path = tmp_path / "a.xml"
    records = 1 if format == "pmc" else 300
    path.write_text(f"<{root}>{record.format('Text. ' * 100) * records}</{root}>")
    monkeypatch.setattr(xml, "MAX_RECORD_BYTES", 150_000)
    monkeypatch.setattr(xml, "MAX_RECORD_MARKUP", 10_000)
    # They hold for a record, not for the file.
    assert len(list(READERS[format](path))) == records
    for filler in ("<i/>" * 20_000, "<i>" + "x" * 300_000 + "</i>"):
        path.write_text(f"<{root}>{record.format(filler)}</{root}>")
        with pytest.raises(CorpusFileError, match="in one record; not read further"):
            list(READERS[format](path))


def test_a_file_without_an_end_to_its_prolog_is_refused(tmp_path):
    path = tmp_path / "long.xml"
    path.write_text("<!--" + "x" * 5_000_000 + "--><PubmedArticleSet/>")
    (result,) = read("pubmed", path)
    assert "does not begin with an element" in result["error"] and result["mib"] < 50


def test_hostile_members_of_an_archive_are_named_and_the_others_read(tmp_path, server):
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    hostile = [bomb(name, "pmc", secret.as_uri(), server).encode() for name in bombs()]
    hostile += [b"".join(one_big("pmc", kind)) for kind in ("text", "deep", "tag")]
    good = f"<article>{PMC.format('A title.')}</article>".encode()
    path = tmp_path / "package.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for number, data in enumerate([good, *hostile, good]):
            info = tarfile.TarInfo(f"{number}.xml")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    (result,) = read("pmc", path)
    assert result["documents"] == ["A title."] * 2 and result["error"] == ""
    assert len(result["failed"]) == len(hostile)
    assert result["mib"] < 200 and result["seconds"] < 30
