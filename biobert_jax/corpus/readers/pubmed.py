"""PubMed XML: the annual baseline, the daily update files, and what efetch returns.

Source: NLM's PubMed DTD and its element descriptions,
https://www.nlm.nih.gov/bsd/licensee/elements_descriptions.html

An update file holds newer versions of records and lists of deleted PMIDs. A reader sees one
file, so it yields every record it meets; which version counts is for a later stage to say.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from etils import epath
from lxml import etree

from biobert_jax.corpus.documents import CorpusFileError, Document, ReadCounts, clean_passage
from biobert_jax.corpus.readers.compressed import open_bytes

# The baseline holds no books, but efetch mixes chapters (GeneReviews, StatPearls) in with the
# articles, and leaving them out would lose text without a word. They have the same three parts.
_RECORD_TAGS = ("PubmedArticle", "PubmedBookArticle")
_ROOT_TAGS = ("PubmedArticleSet", "PubmedBookArticleSet", *_RECORD_TAGS)

# The DTD that DOCTYPE names is never fetched, and entities are never expanded.
_SAFE = {
    "no_network": True,
    "resolve_entities": False,
    "load_dtd": False,
    "huge_tree": False,
    "recover": False,
    "remove_comments": True,
    "remove_pis": True,
}
_PROLOG_BYTES = 1 << 10
_CHUNK_BYTES = 1 << 16

_LXML_PLACE = re.compile(r"\s*, line \d+, column \d+\s*$")
# Some publishers sent markup that was escaped once too often: "60,000/mm&lt;PRE&gt;3&lt;/PRE&gt;".
_ESCAPED_TAG = re.compile(r"</?(?:pre|sub|sup|em|strong|br|[biup])\s*/?>", re.IGNORECASE)
# NLM cut abstracts at 250 words until 1995, later at 400 and 4,096, and left this behind.
_TRUNCATED = re.compile(r"[(\[]?\s*\bABSTRACT TRUNCATED(?: AT [\d,]+ WORDS)?\b\s*[)\]]?")
# What stands where a record has no English title, or none yet.
_NO_TITLE = ("not available", "in process citation")
_NO_LABEL = ("UNLABELLED", "UNLABELED")


def read_pubmed(
    path: epath.PathLike,
    *,
    titles: bool = True,
    section_labels: bool = False,
    other_abstracts: bool = False,
    counts: ReadCounts | None = None,
) -> Iterator[Document]:
    """Yields a document per record: id = PMID, passages = title, then abstract sections.

    Inline markup is flattened to its text, so `CO<sub>2</sub>` reads CO2. A translated title
    loses its brackets. Copyright notices and "ABSTRACT TRUNCATED" marks are left out. Memory
    does not grow with the file.

    Args:
      path: a local or gs:// file, plain or gzip.
      titles: whether the title is the first passage.
      section_labels: whether a labelled section starts with its label (`METHODS: `).
      other_abstracts: whether OtherAbstract is read too. Most are translations; some are second
        English abstracts by NASA or PIP.
      counts: brought up to date as the file is read.

    Raises:
      CorpusFileError: the file cannot be read, is not well-formed XML, is not PubMed XML, or
        declares entities. The documents before the fault have been yielded.
    """
    counts = ReadCounts() if counts is None else counts
    name = epath.Path(path).name
    with open_bytes(path, counts) as stream:
        for number, record in enumerate(_records(stream, os.fspath(path)), start=1):
            book = record.find("BookDocument")
            citation = record.find("MedlineCitation") if book is None else book
            if citation is None:
                counts.empty += 1
                continue
            article = citation.find("Article") if book is None else book
            passages = [_title(article)] if titles else []
            abstracts = [] if article is None else article.findall("Abstract")
            if other_abstracts:
                abstracts += citation.findall("OtherAbstract")
            for abstract in abstracts:
                passages += [_section(s, section_labels) for s in abstract.iter("AbstractText")]
            passages = tuple(p for p in passages if p)
            if not passages:
                counts.empty += 1
                continue
            counts.documents += 1
            yield Document(_text(citation.find("PMID")) or f"{name}:{number}", passages)


def _records(stream: BinaryIO, path: str) -> Iterator[etree._Element]:
    """Yields each complete record; it is emptied when the next one is asked for."""
    parser = etree.XMLPullParser(events=("end",), tag=_RECORD_TAGS, **_SAFE)
    # A second parser reads up to the root element, a little at a time, so that a hostile or a
    # foreign file is refused before the first one has built anything of it.
    prolog = etree.XMLPullParser(events=("start",), **_SAFE)
    in_prolog = True
    error = None
    while error is None:
        data = stream.read1(_PROLOG_BYTES if in_prolog else _CHUNK_BYTES)
        try:
            if in_prolog:
                with contextlib.suppress(etree.XMLSyntaxError):  # The main parser will tell.
                    prolog.feed(data)
                in_prolog = not _root_seen(prolog, path)
            parser.feed(data) if data else parser.close()
        except etree.XMLSyntaxError as syntax_error:
            error = syntax_error
        for _, record in parser.read_events():
            yield record
            _release(record)
        if not data:
            break
    if error is not None:
        line, column = error.position
        message = _LXML_PLACE.sub("", error.msg or "no reason given")
        position = f"{line}:{column}" if line else ""
        reason = f"not well-formed XML: {clean_passage(message)}"
        raise CorpusFileError(path, position, reason) from error


def _root_seen(prolog: etree.XMLPullParser, path: str) -> bool:
    """Whether the root element has begun; refuses entity declarations and foreign roots."""
    for _, root in prolog.read_events():
        doctype = root.getroottree().docinfo.internalDTD
        if doctype is not None and any(True for _ in doctype.iterentities()):
            reason = "the DOCTYPE declares entities, which PubMed files never do; not read"
            raise CorpusFileError(path, str(root.sourceline), reason)
        if root.tag not in _ROOT_TAGS:
            reason = f"not PubMed XML: the root element is {root.tag}, not PubmedArticleSet"
            raise CorpusFileError(path, str(root.sourceline), reason)
        return True
    return False


def _release(record: etree._Element) -> None:
    """Frees a record and whatever stands before it, which the root would otherwise keep."""
    record.clear()
    parent = record.getparent()
    while parent is not None and record.getprevious() is not None:
        del parent[0]


def _text(element: etree._Element | None) -> str:
    if element is None:
        return ""
    text = "".join(element.itertext())
    if "</" in text:  # Without a closing tag, "a <b> c" is a comparison.
        text = _ESCAPED_TAG.sub("", text)
    return clean_passage(text)


def _title(article: etree._Element | None) -> str:
    if article is None:
        return ""
    title = _text(article.find("ArticleTitle")) or _text(article.find("Book/BookTitle"))
    title = _without_brackets(title)
    return "" if title.rstrip(".").lower() in _NO_TITLE else title


def _without_brackets(title: str) -> str:
    """`[A translated title].` without its brackets; `[3H]uptake and [14C].` as it is."""
    match = re.fullmatch(r"\[(.*)\](\.?)", title)
    if match is None:
        return title
    inner, stop = match[1].strip(), match[2]
    depth = 0
    for bracket in re.findall(r"[\[\]]", inner):
        depth += 1 if bracket == "[" else -1
        if depth < 0:  # The first bracket closes before the last one.
            return title
    return inner if not inner or inner.endswith((".", "?", "!")) else inner + stop


def _section(section: etree._Element, with_label: bool) -> str:
    text = clean_passage(_TRUNCATED.sub(" ", _text(section)))
    label = clean_passage(section.get("Label", ""))
    if text and with_label and label and label.upper() not in _NO_LABEL:
        return f"{label}: {text}"
    return text
