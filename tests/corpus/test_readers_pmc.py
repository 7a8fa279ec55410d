import gzip
import io
import re
import tarfile

import pytest

from biobert_jax.corpus.documents import (
    CorpusFileError,
    Document,
    ReadCounts,
    ReadOptions,
    Share,
)
from biobert_jax.corpus.readers.pmc import read_pmc
from biobert_jax.errors import UserError

HEAD = (
    '<!DOCTYPE article PUBLIC "-//NLM//DTD JATS (Z39.96) Journal Archiving and Interchange DTD '
    'v1.1 20151215//EN" "JATS-archivearticle1.dtd">\n'
)
ATTRIBUTES = (
    'xmlns:mml="http://www.w3.org/1998/Math/MathML" xmlns:xlink="http://www.w3.org/1999/xlink"'
)


def article(body="", title="A title", abstract="", meta="", after="", id_="1", attributes=""):
    id_ = f'<article-id pub-id-type="pmcid">{id_}</article-id>' if id_ else ""
    title = f"<title-group><article-title>{title}</article-title></title-group>"
    abstract = f"<abstract>{abstract}</abstract>" if abstract else ""
    body = f"<body>{body}</body>" if body else ""
    return (
        f"<article {ATTRIBUTES} {attributes}><front><article-meta>{id_}{title}{meta}{abstract}"
        f"</article-meta></front>{body}{after}</article>"
    )


def write(folder, xml, name="article.nxml"):
    path = folder / name
    path.write_text(HEAD + xml, encoding="utf-8")
    return path


def passages(folder, xml, **options):
    (document,) = read_pmc(write(folder, xml), options=ReadOptions(**options))
    return list(document.passages)


def pack(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            info = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = b"" if data is info else data
            info.name, info.size = name, len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_articles_without_text_are_empty(tmp_path):
    counts = ReadCounts()
    path = write(tmp_path, article(title="", after="<back/>"))
    assert list(read_pmc(path, counts=counts)) == []
    assert counts == ReadCounts(empty=1, bytes=path.stat().st_size)
    assert passages(tmp_path, article()) == ["A title"]
    assert passages(tmp_path, article(title="", abstract="<p>A.</p>")) == ["A."]


@pytest.mark.parametrize(
    ("ids", "name", "expected"),
    [
        ({"pmid": "7", "pmc": "12"}, "a.xml", "PMC12"),
        ({"pmcid": "PMC12", "pmcaid": "99"}, "a.xml", "PMC12"),
        ({"pmcid-ver": "PMC12.1", "pmcaid": "12"}, "a.xml", "PMC12"),
        ({"pmid": "7", "doi": "10.1/x"}, "PMC34.nxml", "PMC34"),
        ({"pmid": "7", "doi": "10.1/x"}, "a.xml", "7"),
        ({"doi": "10.1/x"}, "a.xml", "10.1/x"),
        ({"publisher-id": "3"}, "a.xml", "{path}"),
    ],
)
def test_ids(tmp_path, ids, name, expected):
    meta = "".join(f'<article-id pub-id-type="{k}">{v}</article-id>' for k, v in ids.items())
    path = write(tmp_path, article(meta=meta, id_=""), name)
    (document,) = read_pmc(path)
    assert document.id == expected.format(path=path)


def test_two_articles_without_ids_are_never_taken_for_one(tmp_path, monkeypatch):
    one = article(id_="")
    several = f"<pmc-articleset>{one * 3}</pmc-articleset>"
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        paths += [
            write(tmp_path / folder, one, "main.nxml"),
            write(tmp_path / folder, several, "set.xml"),
            pack(tmp_path / folder / "p.tar.gz", [("x/set.xml", several.encode())]),
        ]
    paths += [write(tmp_path, several, "PMC5.xml")]
    monkeypatch.chdir(tmp_path)
    found = [d.id for path in paths for d in read_pmc(path.relative_to(tmp_path))]
    members = ["a/p.tar.gz/x/set.xml", "a/p.tar.gz/x/set.xml:2", "a/p.tar.gz/x/set.xml:3"]
    assert found[:7] == ["a/main.nxml", "a/set.xml", "a/set.xml:2", "a/set.xml:3", *members]
    assert found[-3:] == ["PMC5", "PMC5.xml:2", "PMC5.xml:3"]
    assert len(set(found)) == len(found) == 17


def test_filters(tmp_path):
    def licensed(text):
        return f"<permissions><license>{text}</license></permissions>"

    def dated(year, kind="epub"):
        return f'<pub-date pub-type="{kind}"><year>{year}</year></pub-date>'

    members = [
        article(id_="1", meta=licensed("CC BY 4.0") + dated(2010) + dated(2011, "ppub")),
        article(id_="2", meta=licensed("CC BY-NC") + dated(2015), attributes='xml:lang="EN"'),
        article(id_="3", meta=dated(2012, "pmc-release"), attributes='xml:lang="fr"'),
    ]
    path = write(tmp_path, f"<pmc-articleset>{''.join(members)}</pmc-articleset>")

    def ids(**options):
        counts = ReadCounts()
        documents = list(read_pmc(path, options=ReadOptions(**options), counts=counts))
        assert len(documents) == counts.documents == 3 - counts.dropped.total()
        return " ".join(d.id.removeprefix("PMC") for d in documents), dict(counts.dropped)

    assert ids() == ("1 2 3", {})
    assert ids(licenses=("cc-by", "CC0")) == ("1", {"license": 2})
    assert ids(licenses=("CC-BY-NC",)) == ("2", {"license": 2})
    assert ids(languages=("eng",)) == ("1 2", {"language": 1})
    assert ids(languages=("fra",)) == ("3", {"language": 2})
    assert ids(languages=("fr", "en")) == ("1 2 3", {})
    assert ids(last_year=2010) == ("1", {"year": 2})
    assert ids(first_year=2011) == ("2", {"year": 2})
    with pytest.raises(UserError, match="unknown licence 'MIT'"):
        ids(licenses=("MIT",))


def test_archives_are_read_member_by_member(tmp_path):
    long_name = "d/" + "x" * 200 + ".xml"
    members = [
        ("d/PMC1.nxml", article(id_="1").encode()),
        ("d/notes.txt", b"<article>"),
        ("d/2.XML", article(id_="", title="Ä").encode("latin1")),
        ("d/3.xml", b'<?xml version="1.0" encoding="latin1"?>'
         + article(id_="", title="Ä").encode("latin1")),
        (long_name, article(id_="").encode()),
        ("d/set.xml", f"<pmc-articleset>{article(id_='7')}{article(id_='8')}</pmc-articleset>"
         .encode()),
        ("d/empty.xml", b""),
    ]  # fmt: skip
    path = tmp_path / "package.bin"
    expected = [
        Document("PMC1", ("A title",)),
        Document(f"{path}/d/3.xml", ("Ä",)),
        Document(f"{path}/{long_name}", ("A title",)),
        Document("PMC7", ("A title",)),
        Document("PMC8", ("A title",)),
    ]
    for mode in ("w:gz", "w"):
        for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
            with tarfile.open(path, mode, format=form) as archive:
                folder = tarfile.TarInfo("d")
                folder.type = tarfile.DIRTYPE
                archive.addfile(folder)
                for name, data in members:
                    info = tarfile.TarInfo(name)
                    info.size, info.mtime = len(data), 1.5  # Pax needs a header for it.
                    archive.addfile(info, io.BytesIO(data))
            counts = ReadCounts()
            assert list(read_pmc(path, counts=counts)) == expected
            assert counts.failed.keys() == {f"{path}/d/2.XML", f"{path}/d/empty.xml"}
            raw = path.read_bytes()
            assert counts.bytes == len(gzip.decompress(raw) if mode == "w:gz" else raw)


def test_members_that_must_not_be_read_are_named_and_the_others_read(tmp_path):
    secret = tmp_path / "secret.xml"
    secret.write_text(article(title="SECRET"))
    members = [("a.xml", article(id_="1").encode())]
    for kind, name in [
        (tarfile.SYMTYPE, "link.xml"), (tarfile.LNKTYPE, "hard.xml"), (tarfile.FIFOTYPE, "fifo"),
        (tarfile.CHRTYPE, "tty.xml"), (tarfile.BLKTYPE, "disk.xml"),
    ]:  # fmt: skip
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, str(secret)
        members.append((name, info))
    unsafe = ["/etc/passwd.xml", "../up.xml", "a/../../up.xml", "..\\up.xml", "C:\\x.xml", "/x.txt"]
    members += [(name, article(title="SECRET").encode()) for name in unsafe]
    members.append(("bad\n\x1b.xml", b"<article>"))
    members.append(("z.xml", article(id_="2").encode()))
    path = pack(tmp_path / "p.tar.gz", members)
    counts = ReadCounts()
    assert [d.id for d in read_pmc(path, counts=counts)] == ["PMC1", "PMC2"]
    failed = {k.removeprefix(f"{path}/"): v for k, v in counts.failed.items()}
    names = ["link.xml", "hard.xml", "fifo", "tty.xml", "disk.xml", *unsafe, "bad\ufffd\ufffd.xml"]
    assert list(failed) == names
    assert failed["link.xml"] == "a symbolic link, not a file"
    assert "absolute" in failed["/etc/passwd.xml"] and "(..)" in failed["../up.xml"]
    assert re.match(r"1:\d+: not well-formed XML", failed["bad\ufffd\ufffd.xml"])
    assert sum(len(part.failed) for part in _parts(path, 3)) == len(names)


def _parts(path, num_parts):
    for part in range(num_parts):
        counts = ReadCounts()
        list(read_pmc(path, share=Share(part, num_parts), counts=counts))
        yield counts


def test_of_a_set_with_a_fault_the_articles_before_it_are_kept(tmp_path):
    broken = "<article><front><x></y></front></article>"
    xml = f"<pmc-articleset>{article(id_='7')}{broken}{article(id_='8')}</pmc-articleset>".encode()
    path = pack(tmp_path / "p.tar", [("s.xml", xml), ("9.xml", article(id_="9").encode())], "w")
    counts = ReadCounts()
    assert [d.id for d in read_pmc(path, counts=counts)] == ["PMC7", "PMC9"]
    reason = counts.failed.pop(f"{path}/s.xml")
    assert "tag mismatch" in reason and reason.endswith("; what stands before is kept")
    assert not counts.failed and counts.documents == 2

    (tmp_path / "s.xml").write_bytes(xml)
    got = []
    with pytest.raises(CorpusFileError, match="tag mismatch") as caught:
        got.extend(read_pmc(tmp_path / "s.xml"))
    assert [d.id for d in got] == ["PMC7"] and caught.value.whole_before


def test_a_set_in_an_archive_is_read_article_by_article(tmp_path):
    xml = f"<pmc-articleset>{article('<p>Text.</p>' * 500) * 300}</pmc-articleset>".encode()
    counts = ReadCounts()
    documents = read_pmc(pack(tmp_path / "p.tar", [("s.xml", xml)], "w"), counts=counts)
    next(documents)
    assert counts.bytes < len(xml) / 3
    assert sum(1 for _ in documents) == 299


def test_a_header_that_lies_about_the_size(tmp_path):
    header = tarfile.TarInfo("big.xml")
    for size in (1 << 40, (1 << 33) - 1):
        header.size = size
        path = tmp_path / "p.tar"
        path.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + article().encode())
        with pytest.raises(CorpusFileError, match="p.tar: the archive ends too early"):
            list(read_pmc(path))


def test_damaged_archives(tmp_path):
    members = [(f"{i}.xml", article(id_=str(i)).encode()) for i in range(4)]
    data = pack(tmp_path / "p.tar", members, "w").read_bytes()
    path = tmp_path / "damaged.tar"

    def error(data):
        path.write_bytes(data)
        got = []
        for share in (Share(1, 2), Share()):
            with pytest.raises(CorpusFileError) as caught:
                got.extend(read_pmc(path, share=share))
        return len(got), str(caught.value).removeprefix(f"{path}: ")

    assert error(data[:512])[1] == "the archive ends too early; fetch or write the file again"
    for length in range(1024, 4096, 100):
        assert "the archive ends too early" in error(data[:length])[1]
    flipped = bytearray(data)
    flipped[1024] ^= 1  # The name in the second header.
    assert error(flipped) == (
        1,
        "byte 1024: the archive is damaged (the checksum of a header does not fit); "
        "fetch or write the file again",
    )
    assert error(data + data) == (4, "the archive is damaged (there is data after the archive's "
                                  "end); fetch or write the file again")  # fmt: skip
    path.write_bytes(bytes(1024))
    assert list(read_pmc(path)) == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "other: not well-formed XML: no element found"),
        (b"\n<PubmedArticleSet/>", "this is PubMed XML: use --format pubmed"),
        (article().encode()[:-5], "not well-formed XML"),
        (b"PK\x03\x04", "zip file"),
    ],
)
def test_files_that_are_no_articles(tmp_path, data, reason):
    path = tmp_path / "other"
    path.write_bytes(data)
    with pytest.raises(CorpusFileError, match=reason):
        list(read_pmc(path))


def test_compressed_articles_and_odd_characters(tmp_path):
    text = "\u0085\u2028 日本語 العربية \U0001f600 a\u0308\x9f\ufeff"
    path = tmp_path / "a.xml.gz"
    path.write_bytes(gzip.compress(article(f"<p>{text}</p>").encode()))
    (document,) = read_pmc(path)
    assert document.passages[1] == "日本語 العربية \U0001f600 a\u0308\x9f\ufeff"


# One article is by employees of the US government and under no licence.
@pytest.mark.parametrize(("number", "licensed"), [(0, 399), (1, 400)])
def test_real_packages(shared_data, number, licensed):
    path = shared_data / f"corpus/pmc/oa_comm_xml.sample{number}.tar.gz"
    counts = ReadCounts()
    options = ReadOptions(licenses=("CC BY", "CC0"))
    documents = list(read_pmc(path, options=options, counts=counts))
    assert len(documents) == counts.documents == len({d.id for d in documents}) == licensed
    assert counts.dropped.total() == 400 - licensed and not counts.failed and not counts.empty
    for document in documents:
        assert re.fullmatch(r"PMC\d+|10\.\d+/\S+|\d+", document.id)
        for passage in document.passages:
            assert passage == " ".join(passage.split()) != ""
            assert not re.search(r"</?[a-z]+>|\\usepackage|[\x00-\x1f]|&[a-z]+;|\[\s*\]", passage)
            assert not re.search(r"[a-z]{3}[.,]\d{1,3}(,\d+)* [A-Z]", passage)
            assert not re.search(r",\s*,|[:;]where\b", passage)  # Around what was cut.
    words = sum(len(p.split()) for d in documents for p in d.passages)
    assert 1_800_000 < words < 2_100_000
