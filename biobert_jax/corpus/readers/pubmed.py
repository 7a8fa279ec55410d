"""PubMed XML: the annual baseline, the daily update files, and what efetch returns.

Source: NLM's PubMed DTD and its element descriptions,
https://www.nlm.nih.gov/bsd/licensee/elements_descriptions.html

An update file holds newer versions of records and lists of deleted PMIDs. A reader sees one
file, so it yields every record it meets; which version counts is for a later stage to say.
"""

import os
import re
from collections.abc import Callable, Iterator

from etils import epath
from lxml import etree

from biobert_jax.corpus.documents import (
    Document,
    ReadCounts,
    ReadOptions,
    Share,
    clean_passage,
)
from biobert_jax.corpus.readers.compressed import open_bytes
from biobert_jax.corpus.readers.defaults import DEFAULT_OPTIONS, WHOLE_FILE
from biobert_jax.corpus.readers.formulas import MATH, letter_or_sign
from biobert_jax.corpus.readers.gaps import FORMULA, closed_up
from biobert_jax.corpus.readers.sniff import Expected
from biobert_jax.corpus.readers.xml import chunks, element_text, unescaped, xml_records

# The baseline holds no books, but efetch mixes chapters (GeneReviews, StatPearls) in with the
# articles, and leaving them out would lose text without a word. They have the same three parts.
_RECORD_TAGS = ("PubmedArticle", "PubmedBookArticle")
_ROOT_TAGS = ("PubmedArticleSet", "PubmedBookArticleSet", *_RECORD_TAGS)

# What stands where a publisher sent a picture.
_PICTURE = re.compile(
    r"\[(?:Formula|Table|Figure|Image|Chemical structure): see text\]", re.IGNORECASE
)
# NLM cut abstracts at 250 words until 1995, later at 400 and 4,096, and left this behind.
_TRUNCATED = re.compile(r"[(\[]?\s*\bABSTRACT TRUNCATED(?: AT [\d,]+ WORDS)?\b\s*[)\]]?")
# What stands where a record has no English title, or none yet.
_NO_TITLE = ("not available", "in process citation")
_NO_LABEL = ("UNLABELLED", "UNLABELED")

_YEAR = re.compile(r"\b(1[5-9]|2\d)\d\d\b")


def read_pubmed(
    path: epath.PathLike,
    *,
    options: ReadOptions = DEFAULT_OPTIONS,
    share: Share = WHOLE_FILE,
    counts: ReadCounts | None = None,
) -> Iterator[Document]:
    """Yields a document per record: id = PMID, passages = title, then abstract sections.

    A record without a PMID is called `<path as given>:<number from 1>`.
    Inline markup is flattened to its text, so `CO<sub>2</sub>` reads CO2. Formulas are left out,
    but for those of one letter or sign. A translated title loses its brackets. Copyright notices
    and "ABSTRACT TRUNCATED" marks are left out. Memory does not grow with the file. Every share
    parses the whole file, so that all see its faults.

    Args:
      path: a local or gs:// file, plain or gzip.
      options: titles; section_labels, for sections that start with their label (`METHODS: `);
        other_abstracts, most of them translations, some second English abstracts by NASA or PIP;
        languages, any of a record's; publication_types and exclude_publication_types, by name
        and whatever the case; first_year and last_year of the journal issue (PubDate), where a
        record whose date names no year is left out as soon as either is given.
      share: the records to yield. DeleteCitation goes to part 0 alone.
      counts: brought up to date as the file is read; `dropped` has the keys "language",
        "publication_type" and "year", of which a record gets the first that applies.

    Raises:
      CorpusFileError: the file cannot be read, is not well-formed XML, is not PubMed XML, or
        declares entities. The documents before the fault have been yielded.
    """
    counts = ReadCounts() if counts is None else counts
    name = os.fspath(path)
    dropped = _filter(options)
    number = -1
    with open_bytes(path, counts, expected=Expected("pubmed")) as stream:
        for record in xml_records(
            chunks(stream),
            name,
            kind="PubMed",
            tags=(*_RECORD_TAGS, "DeleteCitation"),
            roots=_ROOT_TAGS,
        ):
            if record.tag == "DeleteCitation":
                if share.part == 0:
                    counts.deleted += [_text(pmid) for pmid in record.iterchildren("PMID")]
                continue
            number += 1
            if not share.holds(number):
                continue
            citation = _child(record, "MedlineCitation", "BookDocument")
            if citation is None:
                counts.empty += 1
                continue
            article = citation if citation.tag == "BookDocument" else _child(citation, "Article")
            if dropped is not None and (reason := dropped(article)):
                counts.dropped[reason] += 1
                continue
            passages = _passages(citation, article, options)
            if not passages:
                counts.empty += 1
                continue
            counts.documents += 1
            pmid, revision = _pmid_and_revision(citation)
            yield Document(pmid or f"{name}:{number + 1}", passages, revision)


def _child(parent: etree._Element, *tags: str) -> etree._Element | None:
    # Much faster than find, which interprets a path.
    return next(parent.iterchildren(*tags), None)


def _passages(
    citation: etree._Element, article: etree._Element | None, options: ReadOptions
) -> tuple[str, ...]:
    passages = [_title(article)] if options.titles else []
    abstracts = [] if article is None else list(article.iterchildren("Abstract"))
    if options.other_abstracts:
        abstracts += citation.iterchildren("OtherAbstract")
    for abstract in abstracts:
        for section in abstract.iterchildren("AbstractText"):
            passages.append(_section(section, options.section_labels))
    return tuple(p for p in passages if p)


def _pmid_and_revision(citation: etree._Element) -> tuple[str, int]:
    pmid, revised = _child(citation, "PMID"), _child(citation, "DateRevised")
    version = "" if pmid is None else pmid.get("Version", "")
    # Year, Month and Day, in this order.
    parts = () if revised is None else [(part.text or "").strip() for part in revised]
    date = "".join(part.zfill(2) for part in parts)
    return _text(pmid), _number(version) * 10**8 + (_number(date) if len(date) == 8 else 0)


def _number(text: str) -> int:
    """A whole number of up to eight digits; 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 8 else 0


def _text(element: etree._Element | None) -> str:
    if element is None:
        return ""
    formulas = _cut_formulas(element) if len(element) else False
    text = unescaped(element_text(element))
    if "see text]" in text:
        text, pictures = _PICTURE.subn(FORMULA, text)
        formulas = formulas or pictures
    return closed_up(clean_passage(text)) if formulas else clean_passage(text)


def _cut_formulas(element: etree._Element) -> bool:
    """Puts a letter, a sign or a mark in place of each formula; whether there was one."""
    formulas = list(element.iter(MATH))
    for formula in formulas:
        text = letter_or_sign(formula) or FORMULA
        formula.clear(keep_tail=True)
        formula.text = text
    return bool(formulas)


def _title(article: etree._Element | None) -> str:
    if article is None:
        return ""
    title = _text(_child(article, "ArticleTitle")) or _text(article.find("Book/BookTitle"))
    title = _without_brackets(title)
    return "" if title.rstrip(".").lower() in _NO_TITLE else title


def _without_brackets(title: str) -> str:
    """`[A translated title].` without its brackets; `[3H]uptake and [14C].` as it is."""
    match = re.fullmatch(r"\[(.*)\](\.?)", title) if title.startswith("[") else None
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
    text = _text(section)
    if "ABSTRACT TRUNCATED" in text:
        text = clean_passage(_TRUNCATED.sub(" ", text))
    if not with_label:
        return text
    label = clean_passage(unescaped(section.get("Label", "")))
    return f"{label}: {text}" if text and label and label.upper() not in _NO_LABEL else text


def _filter(options: ReadOptions) -> Callable[[etree._Element | None], str] | None:
    """A function that says why an article is left out, "" if it is not; None if all are in."""
    languages = {clean_passage(x).lower() for x in options.languages}
    wanted = {clean_passage(x).lower() for x in options.publication_types}
    unwanted = {clean_passage(x).lower() for x in options.exclude_publication_types}
    first, last = options.first_year, options.last_year or 9999
    if not (languages or wanted or unwanted or options.first_year or options.last_year):
        return None

    def texts(article: etree._Element | None, tag: str) -> set[str]:
        return set() if article is None else {_text(x).lower() for x in article.iter(tag)}

    def dropped(article: etree._Element | None) -> str:
        if languages and not languages & texts(article, "Language"):
            return "language"
        if wanted or unwanted:
            types = texts(article, "PublicationType")
            if types & unwanted or (wanted and not types & wanted):
                return "publication_type"
        if options.first_year or options.last_year:
            year = _year(article)
            if not year or not first <= year <= last:
                return "year"
        return ""

    return dropped


def _year(article: etree._Element | None) -> int:
    """The year of PubDate, or the first in its MedlineDate ("1998 Dec-1999 Jan"); else 0."""
    if article is None:
        return 0
    date = next(article.iter("PubDate"), None)
    for element in () if date is None else date.iterchildren("Year", "MedlineDate"):
        if match := _YEAR.search(_text(element)):
            return int(match[0])
    return 0
