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
from biobert_jax.corpus.readers.formulas import MATH, letter_or_sign
from biobert_jax.corpus.readers.gaps import (
    CITE,
    CITE_END,
    FORMULA,
    HOLE,
    SUP,
    SUP_END,
    closed_up,
    without_citations,
)
from biobert_jax.corpus.readers.xml import element_text, local_name, unescaped

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
_FORMULAS = ("inline-formula", "disp-formula", "disp-formula-group", "tex-math")
_NEVER_LETTERS = ("disp-formula", "disp-formula-group", "tex-math")
# Abstracts that repeat the real one in a line, or describe a picture.
_NO_ABSTRACTS = ("graphical", "teaser", "toc", "precis")

# Sections in the body that are back matter by type or by title.
_BACK_MATTER_TYPES = frozenset(
    "supplementary-material supplementary-materials associated-data coi-statement conflict "
    "data-availability data-availability-statement funding-information ack author-contributions "
    "contrib-info ref-list fn-group ai-statement ethics-statement display-objects".split()
)
_BACK_MATTER_TITLE = re.compile(
    r"(?:\d+(?:\.\d+)*\.?\s*)?(?:"
    r"acknowledge?ments?|funding(?: (?:statement|information|sources?))?|"
    r"sources? of (?:funding|support)|role of (?:the )?(?:study )?(?:funding sources?|funders?|"
    r"sponsors?)|"
    r"financial (?:support|disclosures?)(?: and sponsorship)?|"
    r"(?:declarations? of |potential )?(?:conflict(?:s|ing)?|competing) (?:of )?(?:financial )?"
    r"interests?(?: statement| disclosures?| and funding)?|disclosures?(?: statement)?|"
    r"authors?['’]?s?['’]? ?(?:contributions?|information)(?: statement)?|"
    r"contributions by the authors|contributor information|contributors|contributorship statement|"
    r"credit (?:authorship contribution|author(?:ship)?)s?(?: statement)?|"
    r"(?:data|code|materials?|software)(?: and (?:data|code|materials?|software))? "
    r"(?:availability|accessibility|sharing)(?: statement)?|"
    r"availability of (?:supporting )?(?:data|materials?)(?: and (?:data|materials?))?|"
    r"associated data|accession (?:numbers?|codes?)|data deposition|"
    r"(?:appendix [A-Z\d][.:]? )?(?:(?:electronic )?supplement(?:ary|al)|supporting|additional) "
    r"(?:information|materials?|data|files?)(?: available)?(?: and declarations)?|"
    r"ethics? statements?|ethical (?:approval|statement)s?|"
    r"ethic(?:s|al) approval(?: and (?:informed )?consent(?: to participate)?)?|"
    r"(?:consent and ethics approval|consent (?:for publication|to publish|to participate))|"
    r"patient consent(?: for publication)?|(?:institutional review board|informed consent) "
    r"statements?|(?:statement of )?human and animal rights(?: and informed consent)?|"
    r"(?:generative )?ai statement|declaration of generative ai .*|publisher['’]?s note|"
    r"pre-?publication history|provenance and peer review|peer review|declarations?|references|"
    r"footnotes|abbreviations"
    r")[\s.:]*",
    re.IGNORECASE,
)

# A block's end, beside the markers of `gaps`; XML cannot hold it.
_BLOCK = "\x08"

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
# Of no meaning in JATS, where it stands for nothing but its text.
_PLAIN = "x"
_SPACE_TAG = re.compile(r"<(?:break|hr)(?:\s[^>]*)?/>")
_TERM_END = re.compile(r"</term>\s*<def(?:\s[^>]*)?>\s*(?:<p(?:\s[^>]*)?>)?")
_ANY_TAG = re.compile(r"<[^>]*>")
_PREFIX = re.compile(r"(</?)[\w.-]+:")
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
    formulas = {MATH, *((namespace[0] if namespace else "") + name for name in _FORMULAS)}
    for element in list(part.iter(*tags, MATH)):
        if element.tag in formulas:
            text = FORMULA if element.tag.endswith(_NEVER_LETTERS) else letter_or_sign(element)
            element.clear(keep_tail=True)
            element.tag, element.text = _PLAIN, text or FORMULA
        else:
            element.clear(keep_tail=True)
    xml = etree.tostring(part, encoding="unicode", with_tail=False)
    if part.prefix:
        xml = _PREFIX.sub(r"\1", xml)
    xml = _CITATION_XREF.sub(rf"{CITE}\1{CITE_END}", xml)
    xml = _SUP_START_TAG.sub(SUP, xml).replace("</sup>", SUP_END)
    xml = _CUT_TAG.sub(HOLE, xml)
    xml = _INLINE_TAG.sub("", xml)
    xml = _SPACE_TAG.sub(" ", xml)
    xml = _TERM_END.sub(": ", xml)
    text = without_citations(_ANY_TAG.sub(_BLOCK, xml))
    passages = (_finished(part) for part in text.split(_BLOCK) if _LETTER.search(part))
    return [passage for passage in passages if _LETTER.search(passage)]


def _finished(text: str) -> str:
    """A passage as it is read: of single spaces, without markers and references to characters."""
    if "&" in text:
        text = unescaped(text)
    return closed_up(clean_passage(text))
