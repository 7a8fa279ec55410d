"""PMC articles: JATS XML alone, in sets, or in the tar packages of the Open Access subset.

Source: https://pmc.ncbi.nlm.nih.gov/tools/openftlist and NISO Z39.96 (JATS).
"""

import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from etils import epath
from lxml import etree

from biobert_jax.corpus.documents import (
    CorpusFileError,
    Document,
    ReadCounts,
    ReadOptions,
    Share,
    clean_passage,
)
from biobert_jax.corpus.readers.compressed import open_bytes
from biobert_jax.corpus.readers.defaults import DEFAULT_OPTIONS, WHOLE_FILE
from biobert_jax.corpus.readers.jats import article_passages
from biobert_jax.corpus.readers.languages import medline_code
from biobert_jax.corpus.readers.licenses import article_license, wanted_licenses
from biobert_jax.corpus.readers.sniff import Expected
from biobert_jax.corpus.readers.tar import BLOCK_BYTES, is_tar, tar_members
from biobert_jax.corpus.readers.xml import chunks, xml_records

# What efetch and OAI-PMH return are sets of articles.
_ROOT_TAGS = ("article", "pmc-articleset", "OAI-PMH")
_XML_SUFFIXES = (".xml", ".nxml")
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_PMC_IDS = ("pmc", "pmcid", "pmcaid")


class _Article(NamedTuple):
    """What became of an article: a reason why it was left out, or its id and passages."""

    dropped: str
    id: str
    passages: tuple[str, ...]


def read_pmc(
    path: epath.PathLike,
    *,
    options: ReadOptions = DEFAULT_OPTIONS,
    share: Share = WHOLE_FILE,
    counts: ReadCounts | None = None,
) -> Iterator[Document]:
    """Yields a document per article; see `jats.article_passages` for what is read of it.

    The id is "PMC" and the number, from the article or from the file's or member's name; or the
    PMID, or the DOI, or the path as given, of a member `archive/member`. The second article of a
    file or member and those after it are not what the name says: instead of it they have
    `path:number`.
    Archives are read front to back, and nothing is extracted. Members not called .xml or .nxml are
    passed over. A member that must not be read (a link, a device, a path out of the archive) or
    cannot be (broken XML, entities, out of bounds) is named in `counts.failed`; the others are
    read, and of a set of articles those before the fault.

    Args:
      path: a local or gs:// file: an article, a set of articles (`pmc-articleset`), or a tar
        archive, each plain or gzip.
      options: titles, section_labels, captions; languages by `xml:lang`, English where there is
        none, as the DTD has it, in two letters or three; licenses; first_year and last_year, of
        the earliest date of publication, where an article without one is left out as soon as
        either is given.
      share: the members, or the articles of a file, to read.
      counts: brought up to date as the file is read; `dropped` has the keys "license",
        "language" and "year", of which an article gets the first that applies.

    Raises:
      CorpusFileError: the file cannot be read, is damaged, or, if it is no archive, is not JATS.
      UserError: `options.licenses` names an unknown licence.
    """
    counts = ReadCounts() if counts is None else counts
    name = os.fspath(path)
    dropped = _filter(options)

    def count(article: _Article) -> Iterator[Document]:
        if article.dropped:
            counts.dropped[article.dropped] += 1
        elif not article.passages:
            counts.empty += 1
        else:
            counts.documents += 1
            yield Document(article.id, article.passages)

    with open_bytes(path, counts, expected=Expected("pmc")) as stream:
        head = stream.read(BLOCK_BYTES)
        if not is_tar(head):
            data = itertools.chain([head], chunks(stream))
            for number, element in enumerate(_articles(data, name)):
                if share.holds(number):
                    yield from count(_article(element, name, number, options, dropped))
            return
        members = (m for m in tar_members(stream, name, head) if m.fault or _is_xml(m.name))
        for number, member in enumerate(members):
            if not share.holds(number):
                continue
            member_name = f"{name}/{member.name}"
            if member.fault:
                counts.failed[member_name] = member.fault
                continue
            before = counts.documents
            try:
                for place, element in enumerate(_articles(member.chunks(), member_name)):
                    yield from count(_article(element, member_name, place, options, dropped))
            except CorpusFileError as error:
                if error.path != member_name:  # The archive itself.
                    raise
                kept = "; what stands before is kept" if counts.documents > before else ""
                reason = f"{error.position}: {error.reason}".lstrip(": ") + kept
                counts.failed[member_name] = reason


def _is_xml(name: str) -> bool:
    return name.lower().endswith(_XML_SUFFIXES)


def _articles(data: Iterable[bytes], path: str) -> Iterator[etree._Element]:
    return xml_records(data, path, kind="JATS", tags=("{*}article",), roots=_ROOT_TAGS)


def _article(
    article: etree._Element,
    path: str,
    number: int,
    options: ReadOptions,
    dropped: Callable[[etree._Element, etree._Element | None], str],
) -> _Article:
    meta = article.find("{*}front/{*}article-meta")
    if reason := dropped(article, meta):
        return _Article(reason, "", ())
    return _Article("", _id(meta, path, number), article_passages(article, options))


def _id(meta: etree._Element | None, path: str, number: int) -> str:
    ids = {}
    for element in () if meta is None else meta.iterchildren("{*}article-id"):
        text = clean_passage(element.text or "")
        if text:
            ids.setdefault(element.get("pub-id-type"), text)
    for kind in _PMC_IDS:
        if found := re.fullmatch(r"(?:PMC)?(\d+)(?:\.\d+)?", ids.get(kind, ""), re.IGNORECASE):
            return f"PMC{found[1]}"
    # PMC names its files so, and articles as their publishers sent them know no number of PMC.
    if number == 0 and (found := re.search(r"(?:^|/)(PMC\d+)[^/]*$", path)):
        return found[1]
    return ids.get("pmid") or ids.get("doi") or (f"{path}:{number + 1}" if number else path)


def _filter(options: ReadOptions) -> Callable[[etree._Element, etree._Element | None], str]:
    """A function that says why an article is left out, "" if it is not."""
    licenses = wanted_licenses(options.licenses)
    languages = frozenset(map(medline_code, options.languages))
    first, last = options.first_year, options.last_year or 9999

    def dropped(article: etree._Element, meta: etree._Element | None) -> str:
        if licenses and (meta is None or article_license(meta) not in licenses):
            return "license"
        if languages and medline_code(article.get(_XML_LANG, "en")) not in languages:
            return "language"
        if options.first_year or options.last_year:
            year = _year(meta)
            if not year or not first <= year <= last:
                return "year"
        return ""

    return dropped


def _year(meta: etree._Element | None) -> int:
    """The earliest year of publication; 0 without one. Release in PMC is none."""
    years = []
    for date in () if meta is None else meta.iterchildren("{*}pub-date"):
        kind = date.get("pub-type") or date.get("date-type") or ""
        year = clean_passage(date.findtext("{*}year") or "")
        if not kind.startswith(("pmc", "nihms")) and re.fullmatch(r"\d{4}", year):
            years.append(int(year))
    return min(years, default=0)
