"""A damaged gzip file is refused, or read as if it were whole; nothing else happens."""

import gzip
import io
import random
import tarfile

import pytest

from biobert_jax.corpus.documents import CorpusFileError, Share
from biobert_jax.corpus.readers import open_documents

FILES = {
    "pubmed": "corpus/pubmed/pubmed21n0001.xml.gz",
    "pmc": "corpus/pmc/oa_comm_xml.sample0.tar.gz",
}


def small_pubmed():
    record = (
        "<PubmedArticle><MedlineCitation><PMID Version='1'>{0}</PMID><Article><ArticleTitle>Title "
        "{0}.</ArticleTitle></Article></MedlineCitation></PubmedArticle>"
    )
    records = "".join(record.format(n) for n in range(200))
    return gzip.compress(f"<PubmedArticleSet>{records}</PubmedArticleSet>".encode())


def small_pmc(articles=None):
    xml = (
        "<article><front><article-meta><title-group><article-title>Title {}.</article-title>"
        "</title-group></article-meta></front></article>"
    )
    articles = articles or [xml.format(n).encode() for n in range(30)]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for number, data in enumerate(articles):
            info = tarfile.TarInfo(f"folder/{number}.xml")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def damaged(data, times, seed):
    """Yields `times` truncated copies, then as many with a bit flipped."""
    generator = random.Random(seed)
    for _ in range(times):
        yield data[: generator.randrange(len(data))]
    for _ in range(times):
        flipped = bytearray(data)
        flipped[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        yield bytes(flipped)


def check(path, data, format, times):
    path.write_bytes(data)
    whole = list(open_documents(path, format))
    assert len(whole) > 10
    refused = 0
    for copy in damaged(data, times, seed=len(data)):
        path.write_bytes(copy)
        faults = 0
        for share in (Share(), Share(1, 2)):
            got = []
            try:
                got.extend(open_documents(path, format, share=share))
            except CorpusFileError as error:
                assert str(path) in str(error) and "\n" not in str(error)
                faults += 1
            else:
                assert got == [d for n, d in enumerate(whole) if share.holds(n)]
        assert faults in (0, 2)  # A file is in or out for all shares.
        refused += faults > 0
    assert refused >= 2 * times * 0.9


@pytest.mark.parametrize(("format", "data"), [("pubmed", small_pubmed()), ("pmc", small_pmc())])
def test_damaged_gzip(tmp_path, format, data):
    check(tmp_path / "file.gz", data, format, times=40)


@pytest.mark.slow
@pytest.mark.parametrize("format", FILES)
def test_damaged_real_files(tmp_path, shared_data, format):
    data = (shared_data / FILES[format]).read_bytes()
    if format == "pmc":
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            members = [archive.extractfile(archive.next()).read() for _ in range(12)]
        data = small_pmc(members)
    check(tmp_path / "file.gz", data, format, times=200)
