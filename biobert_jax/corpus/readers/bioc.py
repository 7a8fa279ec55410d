"""BioC XML: the exchange format of PubTator, PMC's text mining service and many corpora.

Source: Comeau et al. 2013, "BioC: a minimalist approach to interoperability for biomedical text
processing", https://bioc.sourceforge.net; the types of passages are those of PMC's own BioC,
https://www.ncbi.nlm.nih.gov/research/bionlp/APIs/BioC-PMC/
"""

import os
import re
from collections.abc import Iterator

from etils import epath
from lxml import etree

from biobert_jax.corpus.documents import Document, ReadCounts, ReadOptions, Share, clean_passage
from biobert_jax.corpus.readers.compressed import open_bytes
from biobert_jax.corpus.readers.defaults import DEFAULT_OPTIONS, WHOLE_FILE
from biobert_jax.corpus.readers.licenses import stated_license, wanted_licenses
from biobert_jax.corpus.readers.sniff import Expected
from biobert_jax.corpus.readers.xml import chunks, element_text, unescaped, xml_records

# Kinds of passages, by the infons "type" and "section_type". What is neither of these is text.
_CUT_TYPES = re.compile(r"(?:ref|table|table_foot\w*|footnote\w*|equation|kwd|keywords?)$")
_CUT_SECTIONS = frozenset("REF SUPPL ACK_FUND AUTH_CONT COMP_INT KEYWORD REVIEW_INFO ABBR".split())
_CAPTION_TYPES = re.compile(r"(?:fig|table)(?:_title)?_caption$|fig$")
_SECTION_TITLE_TYPES = re.compile(r"(?:abstract_)?title(?:_\d+)?$")


def read_bioc(
    path: epath.PathLike,
    *,
    options: ReadOptions = DEFAULT_OPTIONS,
    share: Share = WHOLE_FILE,
    counts: ReadCounts | None = None,
) -> Iterator[Document]:
    """Yields a document per `document`: its id, and its passages' text, joined from sentences.

    References, tables, footnotes, and what PMC marks as back matter are left out. Passages of no
    type, or of a type that PMC does not use, are text.

    Args:
      path: a local or gs:// file, plain or gzip.
      options: titles, of articles; section_labels, for the titles of sections; captions; licenses
        and first_year, last_year by the infons "license" and "year", where a document without is
        left out as soon as the option is given.
      share: the documents to yield.
      counts: brought up to date as the file is read; `dropped` has "license" and "year".

    Raises:
      CorpusFileError: the file cannot be read, is not well-formed XML, is not BioC, or declares
        entities. The documents before the fault have been yielded.
      UserError: `options.licenses` names an unknown licence.
    """
    counts = ReadCounts() if counts is None else counts
    name = epath.Path(path).name
    licenses = wanted_licenses(options.licenses)
    with open_bytes(path, counts, expected=Expected("bioc")) as stream:
        records = xml_records(
            chunks(stream), os.fspath(path), kind="BioC", tags=("document",), roots=("collection",)
        )
        for number, document in enumerate(records):
            if not share.holds(number):
                continue
            if reason := _dropped(document, options, licenses):
                counts.dropped[reason] += 1
                continue
            passages = tuple(_passages(document, options))
            if not passages:
                counts.empty += 1
                continue
            counts.documents += 1
            id_ = clean_passage(document.findtext("id") or "")
            yield Document(id_ or f"{name}:{number + 1}", passages)


def _infons(element: etree._Element) -> dict[str, str]:
    return {
        infon.get("key", ""): clean_passage(infon.text or "")
        for infon in element.iterchildren("infon")
    }


def _dropped(document: etree._Element, options: ReadOptions, licenses: frozenset[str]) -> str:
    if not (licenses or options.first_year or options.last_year):
        return ""
    all_infons = [_infons(x) for x in (document, *document.iterchildren("passage"))]
    if licenses:
        stated = [infons["license"] for infons in all_infons if "license" in infons]
        if stated_license(stated) not in licenses:
            return "license"
    if options.first_year or options.last_year:
        year = next((infons["year"] for infons in all_infons if "year" in infons), "")
        match = re.search(r"\b\d{4}\b", year)
        if not match or not options.first_year <= int(match[0]) <= (options.last_year or 9999):
            return "year"
    return ""


def _passages(document: etree._Element, options: ReadOptions) -> Iterator[str]:
    for passage in document.iterchildren("passage"):
        infons = _infons(passage)
        if not _is_wanted(infons, options):
            continue
        parts = (passage, *passage.iterchildren("sentence"))
        if text := clean_passage(unescaped(" ".join(map(_text, parts)))):
            yield text


def _text(element: etree._Element) -> str:
    return "".join(map(element_text, element.iterchildren("text")))


def _is_wanted(infons: dict[str, str], options: ReadOptions) -> bool:
    kind, section = infons.get("type", "").lower(), infons.get("section_type", "").upper()
    if _CAPTION_TYPES.match(kind):
        return options.captions
    if _CUT_TYPES.match(kind) or section in _CUT_SECTIONS:
        return False
    if kind == "front" or (kind == "title" and section in ("", "TITLE")):
        return options.titles
    return options.section_labels if _SECTION_TITLE_TYPES.match(kind) else True
