"""What cuts leave in running text: numbers of references to remove, and gaps to close up.

The readers put a marker where they cut something out. Here the marker goes, and with it the space,
the comma or the brackets that only what was cut had needed.
"""

import re

from biobert_jax.corpus.documents import clean_passage

# XML cannot hold these, so no text has them: begin and end of a citation and of a superscript; a
# citation that was cut, and anything else.
CITE, CITE_END, SUP, SUP_END, CITED, HOLE = "\x01\x02\x03\x04\x05\x06"
# A formula that was cut. XML can hold it, so it is put into elements; it is no character for text.
FORMULA = "\ufdd0"

# Numbers of references and footnotes. Set as superscripts they would end up glued to the word
# before ("cells12"), and are cut; in brackets ("cells [12]"), or as names and years, they read
# like text and stay.
# Every pattern begins with a marker: `re` skips to it, and is slow if it must try every character.
_POINTS = r"[\s,;.()\[\]*‐-―−-]*"
_DIGITS_AND_POINTS = r"[\d\s,;.()\[\]*‐-―−-]"
_NUMBERS = r"\s*\d{1,3}(?:[\s,;‐-―−-]+\d{1,3})*[a-z]?\s*"
_NUMBER_CITE = rf"{CITE}{_NUMBERS}{CITE_END}"
_SUP_POINTS = rf"{SUP}{_POINTS}{SUP_END}"
_SUP_OF_CITES = re.compile(
    rf"{SUP}{_POINTS}{CITE}[^{CITE_END}]*{CITE_END}"
    rf"(?:{_DIGITS_AND_POINTS}|{CITE}[^{CITE_END}]*{CITE_END})*{SUP_END}"
)
_CITE_OF_SUP = re.compile(rf"{CITE}{_POINTS}{SUP}[^{SUP_END}{CITE}]*{SUP_END}{_POINTS}{CITE_END}")
_CITE_AFTER_SUP = re.compile(rf"{_SUP_POINTS}{_NUMBER_CITE}")
_YEAR = re.compile(r"(?<!\d)(?:1[89]|20)\d\d(?!\d)")
_REFERENCE_WORD = re.compile(r"\b(?:refs?\.?|references?)\s*$", re.IGNORECASE)
_MARKS = re.compile(f"[{CITE}{CITE_END}{SUP}{SUP_END}]")
# Without <sup>, but meant so: "cells<xref>12</xref>", "in 2009.<xref>12</xref>". The mark of a
# footnote is always raised.
_GLUED = "|".join(
    rf"(?<={before}{CITE})"
    for before in (
        r"[\w)\]”’\"'%]",
        r"[^\W\d_][^\W\d_][.,;:]",
        r"\s[A-Z][.,;:]",
        r"[)\]”’\"'%][.,;:]",
        r"\d[.]",
        r"\d\d\d\d[,;:]",
    )
)
_NAMED = "".join(rf"(?<!\b{name}{CITE})" for name in r"ref refs ref\. refs\.".split())
_GLUED_CITES = re.compile(
    rf"{CITE}(?:\s*[*†‡§¶‖#]+\s*{CITE_END}|(?<=[^\W\d_]{CITE})[a-z]{CITE_END}"
    rf"|(?:{_GLUED})(?i:{_NAMED}){_NUMBERS}{CITE_END})"
)
# And what goes on from one that was cut: "used.<xref>12</xref>, <xref>18</xref> Both". Possessive,
# since white space is not yet single here: a long run of it must be tried once.
_MORE_CITES = re.compile(
    rf"{CITED}(?:\s*+(?:(?:[,;‐-―−-]|and\b|to\b|{_SUP_POINTS})\s*+)?+{_NUMBER_CITE})++"
)

_FORMULAS = re.compile(rf"{FORMULA}(?: ?(?:[,;/‐-―−-]|,? ?(?:and|or)\b)? ?{FORMULA})+")
_FORMULA_DASH = re.compile(rf"{FORMULA}[-‐–](?=[ .,;:)\]])")
_AND_FORMULA = re.compile(rf",? (?:and|or) {FORMULA}(?= ?[.,;:)\]])")
# Most: "cells<HOLE> and", "cells<HOLE>. The", "in <HOLE> mice". With these gone the rest, which is
# slower, is seldom needed.
_PLAIN_HOLE = re.compile(
    rf"[{CITED}{HOLE}](?:(?<=[\w.:?!)\]%”].)(?= [\w(])|(?<=[\w)\]%”].)(?=[.,;:](?: |$))"
    r"|(?<=[\w.?!)\]%”] .) (?=\w))"
)
_CITED_IN_WORD = re.compile(rf"{CITED}(?<=[\w.,;:?!)\]%”’]{CITED})(?=[\w(])")
_POINT_NOT_OF_NUMBER = r"[;:)\]]|[.,](?!\d)"
_POINTS_BEFORE_HOLE = re.compile(rf"{_SUP_POINTS}\s*{HOLE}")
_HOLES = re.compile(rf"{HOLE}(?:\s*(?:[,;‐-―−-]|{_SUP_POINTS})?\s*{HOLE}|\s*{_SUP_POINTS})+")
_EMPTY_BRACKETS = re.compile(rf"[(\[][\s,;‐-―−-]*(?:{HOLE}[\s,;‐-―−-]*)+[)\]]")
_HOLE_AFTER_BRACKET = re.compile(rf"{HOLE}(?:(?<=[(\[]{HOLE})|(?<=[(\[] {HOLE}))[ ,;:]*")
_POINT_AND_HOLE_BEFORE_END = re.compile(rf"[,;:] ?{HOLE} ?(?=[)\]]|\.(?!\d))")
_HOLE_AND_POINT_BEFORE_END = re.compile(rf"{HOLE} ?[,;:] ?(?=[)\]])")
_HOLE_BETWEEN_POINTS = re.compile(rf"([,;:]) ?{HOLE} ?([,;:])")
_HOLE_AND_SPACE_BEFORE_POINT = re.compile(rf" {HOLE} ?(?={_POINT_NOT_OF_NUMBER})")
_HOLE_BEFORE_POINT = re.compile(rf"{HOLE} (?={_POINT_NOT_OF_NUMBER})")
_HOLE_BEFORE_GLUED_STOP = re.compile(rf"{HOLE}\.(?=[A-Z][a-z])")
_HOLE_IN_WORD = re.compile(rf"{HOLE}(?<=[\w.,;:?!)\]%”]{HOLE})(?=\w|[.,]\d)")


def without_citations(text: str) -> str:
    """Text in which raised numbers of references are `CITED`, and other citations are as they were.

    Args:
      text: with `CITE` and `CITE_END` around citations, `SUP` and `SUP_END` around superscripts.
    """
    if CITE not in text:
        return text
    text = _CITE_OF_SUP.sub(_cited_or_kept, text)
    text = _SUP_OF_CITES.sub(_cited_or_kept, text)
    text = _CITE_AFTER_SUP.sub(CITED, text)
    text = _GLUED_CITES.sub(CITED, text)
    text = _MORE_CITES.sub(CITED, text)
    return text.replace(CITE, "").replace(CITE_END, "")


def _cited_or_kept(match: re.Match[str]) -> str:
    """`CITED` for what is raised, but a year and the number of "ref. 12" as text."""
    before = match.string[max(0, match.start() - 12) : match.start()]
    if not (len(match[0]) > 7 and _YEAR.search(match[0])):
        if before[-1:] not in "efs. \n" or not _REFERENCE_WORD.search(before):
            return CITED
    text = _MARKS.sub("", match[0])
    return f" {text}" if before[-1:].isalnum() or before[-1:] in (".", ",") else text


def closed_up(passage: str) -> str:
    """A passage of single spaces without markers, closed up around what was cut out of it."""
    if FORMULA in passage:
        passage = _FORMULA_DASH.sub(FORMULA, passage)
        passage = _FORMULAS.sub(FORMULA, passage)
        passage = _AND_FORMULA.sub(FORMULA, passage)
        passage = passage.replace(FORMULA, HOLE)
    if CITED in passage or HOLE in passage:
        passage = _PLAIN_HOLE.sub("", passage.rstrip(f" {CITED}{HOLE}"))
    if CITED in passage:
        passage = _CITED_IN_WORD.sub(" ", passage).replace(CITED, HOLE)
    if HOLE in passage:
        passage = _POINTS_BEFORE_HOLE.sub(HOLE, passage)
        passage = _HOLES.sub(HOLE, passage)
        passage = _HOLES.sub(HOLE, _EMPTY_BRACKETS.sub(HOLE, passage))
        passage = _HOLE_AFTER_BRACKET.sub("", passage)
        passage = _HOLE_AND_POINT_BEFORE_END.sub(HOLE, passage)
        passage = _POINT_AND_HOLE_BEFORE_END.sub("", passage)
        passage = _HOLE_BETWEEN_POINTS.sub(_stronger, passage)
        passage = _HOLE_AND_SPACE_BEFORE_POINT.sub("", passage)
        passage = _HOLE_BEFORE_POINT.sub("", passage)
        passage = _HOLE_BEFORE_GLUED_STOP.sub(". ", passage)
        passage = _HOLE_IN_WORD.sub(" ", passage).replace(HOLE, "")
        passage = clean_passage(passage).lstrip(" ,;:")
    if SUP in passage or SUP_END in passage:
        passage = clean_passage(passage.replace(SUP, "").replace(SUP_END, ""))
    return passage


def _stronger(match: re.Match[str]) -> str:
    """The point of two that says more, apart from a word that follows at once."""
    following = match.string[match.end() : match.end() + 1]
    return max(match.groups(), key=",;:".index) + " " * following.isalnum()
