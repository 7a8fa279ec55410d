"""The running text of a JATS article: title, abstract and body as passages.

Source: NISO Z39.96 (JATS) and the NLM DTDs 2.0 to 3.0 before it, https://jats.nlm.nih.gov; PMC's
tagging guidelines, https://www.ncbi.nlm.nih.gov/pmc/pmcdoc/tagging-guidelines/article/style.html

What is not running text is cut: tables, figures, formulas, references, footnotes, supplementary
files, and the sections that every article has in the same words (funding, competing interests).
The text is then taken from the serialised element, for which lxml and `re` are several times
faster than a walk in Python.
"""

import re

from lxml import etree

from biobert_jax.corpus.documents import ReadOptions, clean_passage
from biobert_jax.corpus.readers.xml import element_text, entities, local_name

_WITH_CAPTIONS = ("fig", "fig-group", "table-wrap", "table-wrap-group")
_CUT = (
    # Figures, tables and files
    "fig fig-group table-wrap table-wrap-group table array graphic inline-graphic media "
    "inline-media supplementary-material inline-supplementary-material alt-text long-desc "
    "floats-group chem-struct chem-struct-wrap code "
    # Formulas
    "inline-formula disp-formula disp-formula-group math tex-math "
    # References and notes
    "ref-list ref fn fn-group notes note mixed-citation element-citation citation nlm-citation "
    "related-article related-object index-term "
    # What belongs to the front and back matter and may stand in a section all the same
    "sec-meta kwd-group contrib-group author-notes aff permissions license ack glossary "
    "sig-block object-id attrib label"
).split()
_MATHML = "{http://www.w3.org/1998/Math/MathML}math"
# Abstracts that repeat the real one in a line, or describe a picture.
_NO_ABSTRACTS = ("graphical", "teaser", "toc", "precis")

# Sections in the body that are back matter by type or by title.
_BACK_MATTER_TYPES = frozenset(
    "supplementary-material supplementary-materials associated-data coi-statement conflict "
    "data-availability data-availability-statement funding-information ack author-contributions "
    "contrib-info ref-list fn-group ai-statement ethics-statement display-objects".split()
)
_BACK_MATTER_TITLE = re.compile(
    r"(?:\d+\.?\s*)?(?:"
    r"acknowledge?ments?|funding(?: (?:statement|information|sources?))?|sources of funding|"
    r"financial (?:support|disclosures?)(?: and sponsorship)?|"
    r"(?:declarations? of |potential )?(?:conflicts?|competing) (?:of )?(?:financial )?interests?"
    r"(?: statement| disclosures?| and funding)?|disclosures?(?: statement)?|"
    r"authors?['’]?s?['’]? ?(?:contributions?|information)(?: statement)?|"
    r"contributions by the authors|contributor information|"
    r"(?:data|code|materials?|software)(?: and (?:data|code|materials?|software))? "
    r"(?:availability|accessibility)(?: statement)?|"
    r"availability of (?:supporting )?(?:data|materials?)(?: and (?:data|materials?))?|"
    r"associated data|accession (?:numbers?|codes?)|data deposition|"
    r"(?:(?:electronic )?supplement(?:ary|al)|supporting|additional) "
    r"(?:information|materials?|data|files?)(?: available)?(?: and declarations)?|"
    r"ethics statements?|ethical (?:approval|statement)s?|consent for publication|"
    r"(?:generative )?ai statement|publisher['’]?s note|pre-?publication history|"
    r"provenance and peer review|peer review|declarations|references|footnotes|abbreviations"
    r")[\s.:]*",
    re.IGNORECASE,
)

# Markers for the time between the tags' removal and the text's; XML cannot hold them.
_BLOCK, _CITE, _CITE_END, _SUP, _SUP_END, _HOLE = "\x01\x02\x03\x04\x05\x06"

_CITATION_XREF = re.compile(
    r'<xref\b[^>]*\bref-type="(?:bibr|ref|fn|table-fn|aff|corresp|author-notes)"[^>]*(?<!/)>'
    r"([^<]*(?:<(?!/?xref\b)[^<]*)*)</xref>"
)
_SUP_START_TAG = re.compile(r"<sup(?:\s[^>]*)?(?<!/)>")
_CUT_TAG = re.compile(rf"<(?:[\w.-]+:)?(?:{'|'.join(_CUT)})(?:\s[^>]*)?/>")
_INLINE_TAG = re.compile(
    r"</?(?:italic|xref|bold|sub|sup|sc|underline|overline|strike|monospace|roman|sans-serif|"
    r"named-content|styled-content|ext-link|uri|email|abbrev|institution|x|alternatives|target|"
    r"milestone-start|milestone-end|fixed-case|rb|rt|ruby|inline|bio-name|price|"
    r"private-char|glyph-data|glyph-ref|underline-start|underline-end|overline-start|"
    r"overline-end)(?:\s[^>]*)?/?>"
)
_SPACE_TAG = re.compile(r"<(?:break|hr)(?:\s[^>]*)?/>")
_TERM_END = re.compile(r"</term>\s*<def(?:\s[^>]*)?>\s*(?:<p(?:\s[^>]*)?>)?")
_ANY_TAG = re.compile(r"<[^>]*>")
_PREFIX = re.compile(r"(</?)[\w.-]+:")

# Numbers of references and footnotes. Set as superscripts they would end up glued to the word
# before ("cells12"), and are cut; in brackets ("cells [12]"), or as names and years, they read
# like text and stay.
# Every pattern begins with a marker: `re` skips to it, and is slow if it must try every character.
_POINTS = r"[\s,;.()\[\]*‐-―−-]*"
_DIGITS_AND_POINTS = r"[\d\s,;.()\[\]*‐-―−-]"
_NUMBER_CITE = rf"{_CITE}\s*\d{{1,3}}(?:\s*[,‐-―−-]\s*\d{{1,3}})*[a-z]?\s*{_CITE_END}"
_SUP_POINTS = rf"{_SUP}{_POINTS}{_SUP_END}"
_SUP_OF_CITES = re.compile(
    rf"{_SUP}{_POINTS}{_CITE}[^{_CITE_END}]*{_CITE_END}"
    rf"(?:{_DIGITS_AND_POINTS}|{_CITE}[^{_CITE_END}]*{_CITE_END})*{_SUP_END}"
)
_CITE_OF_SUP = re.compile(
    rf"{_CITE}{_POINTS}{_SUP}[^{_SUP_END}{_CITE}]*{_SUP_END}{_POINTS}{_CITE_END}"
)
_CITE_AFTER_SUP = re.compile(rf"{_SUP_POINTS}{_NUMBER_CITE}")
# Without <sup>, but meant so: "cells<xref>12</xref>,<xref>13</xref>" and "cells.<xref>12</xref>".
_GLUED_CITES = re.compile(
    rf"{_CITE}(?:(?<=[^\W\d_]{_CITE})|(?<=[)\]”’%]{_CITE})|(?<=[a-z][a-z)][.,;:]{_CITE}))"
    rf"(?<!\bref{_CITE})(?<!\brefs{_CITE})(?<!\bref\.{_CITE})(?<!\brefs\.{_CITE})"
    rf"{_NUMBER_CITE[1:]}(?:[,;‐-―−-]?{_NUMBER_CITE})*"
)
_POINTS_BEFORE_HOLE = re.compile(rf"{_SUP_POINTS}\s*{_HOLE}")
_HOLES = re.compile(rf"{_HOLE}(?:\s*(?:[,;‐-―−-]|{_SUP_POINTS})?\s*{_HOLE}|\s*{_SUP_POINTS})+")
_EMPTY_BRACKETS = re.compile(rf"[(\[][\s,;‐-―−-]*(?:{_HOLE}[\s,;‐-―−-]*)+[)\]]")
_HOLE_AND_SPACE_BEFORE_POINT = re.compile(rf" {_HOLE} ?(?=[.,;:)\]])")
_HOLE_BEFORE_POINT = re.compile(rf"{_HOLE} (?=[.,;:)\]])")
_HOLE_IN_WORD = re.compile(rf"{_HOLE}(?<=\w{_HOLE})(?=\w)")
_LETTER = re.compile(r"[^\W\d_]")
_NAMESPACE = re.compile(r"\{.*\}")


def article_passages(article: etree._Element, options: ReadOptions) -> tuple[str, ...]:
    """Returns the passages of an `article` element; cuts what is not text out of it.

    Title, abstracts, body, each paragraph and each item of a list a passage of its own; then, with
    `options.captions`, the captions of figures and tables. A section's title is a passage with
    `options.section_labels`. A passage without a letter is left out. Back matter, translated
    abstracts, and the letters and answers printed with the article (sub-article, response) are
    not read.
    """
    meta = article.find("{*}front/{*}article-meta")
    body = article.find("{*}body")
    passages, captions = [], []
    if options.captions:
        for part in (body, article.find("{*}floats-group"), article.find("{*}floats-wrap")):
            captions += [] if part is None else _captions(part)
    if meta is not None:
        if options.titles:
            passages += _title(meta)
        for abstract in meta.iterchildren("{*}abstract"):
            if abstract.get("abstract-type", "").lower() not in _NO_ABSTRACTS:
                _cut_back_matter(abstract)
                passages += _passages(abstract, with_titles=options.section_labels)
    if body is not None:
        _cut_back_matter(body)
        passages += _passages(body, with_titles=options.section_labels)
    return tuple(passages + captions)


def _title(meta: etree._Element) -> list[str]:
    """Title and subtitle in one."""
    group = meta.find("{*}title-group")
    parts = () if group is None else group.iterchildren("{*}article-title", "{*}subtitle")
    title = ": ".join(" ".join(_passages(part, with_titles=True)) for part in parts)
    return [title] if title else []


def _captions(part: etree._Element) -> list[str]:
    # All before any is read, which empties elements in it.
    captions = list(part.iter("{*}caption"))
    of_pictures = [c for c in captions if local_name(c.getparent()) in _WITH_CAPTIONS]
    return [p for c in of_pictures if (p := " ".join(_passages(c, with_titles=True)))]


def _cut_back_matter(part: etree._Element) -> None:
    for section in list(part.iter("{*}sec")):
        title = next(section.iterchildren("{*}title"), None)
        name = "" if title is None else clean_passage(element_text(title))
        kind = clean_passage(section.get("sec-type", "")).replace(" ", "-").lower()
        if kind in _BACK_MATTER_TYPES or _BACK_MATTER_TITLE.fullmatch(name):
            section.clear()


def _passages(part: etree._Element, *, with_titles: bool) -> list[str]:
    """The text of an element, a block a passage; empties in it what is not text."""
    namespace = _NAMESPACE.match(part.tag)
    names = _CUT if with_titles else (*_CUT, "title")
    tags = [namespace[0] + name for name in names] if namespace else names
    for element in list(part.iter(*tags, _MATHML)):
        element.clear(keep_tail=True)
    xml = etree.tostring(part, encoding="unicode", with_tail=False)
    if part.prefix:
        xml = _PREFIX.sub(r"\1", xml)
    xml = _CITATION_XREF.sub(rf"{_CITE}\1{_CITE_END}", xml)
    xml = _SUP_START_TAG.sub(_SUP, xml).replace("</sup>", _SUP_END)
    xml = _CUT_TAG.sub(_HOLE, xml)
    xml = _INLINE_TAG.sub("", xml)
    xml = _SPACE_TAG.sub(" ", xml)
    xml = _TERM_END.sub(": ", xml)
    text = _ANY_TAG.sub(_BLOCK, xml)

    text = _CITE_OF_SUP.sub(_HOLE, text)
    text = _SUP_OF_CITES.sub(_HOLE, text)
    text = _CITE_AFTER_SUP.sub(_HOLE, text)
    text = _GLUED_CITES.sub(_HOLE, text)
    for marker in (_CITE, _CITE_END):
        text = text.replace(marker, "")
    passages = (_finished(part) for part in text.split(_BLOCK) if _LETTER.search(part))
    return [passage for passage in passages if _LETTER.search(passage)]


def _finished(text: str) -> str:
    """A passage without markers, closed up around what was cut out of it."""
    passage = clean_passage(text)
    if _HOLE in passage:
        passage = _POINTS_BEFORE_HOLE.sub(_HOLE, passage)
        passage = _HOLES.sub(_HOLE, passage)
        passage = _EMPTY_BRACKETS.sub(_HOLE, passage)
        passage = _HOLE_AND_SPACE_BEFORE_POINT.sub("", passage)
        passage = _HOLE_BEFORE_POINT.sub("", passage)
        passage = _HOLE_IN_WORD.sub(" ", passage).replace(_HOLE, "")
        passage = clean_passage(passage).lstrip(" ,;:")
    if _SUP in passage or _SUP_END in passage:
        passage = clean_passage(passage.replace(_SUP, "").replace(_SUP_END, ""))
    return clean_passage(entities(passage)) if "&" in passage else passage
