"""Formulas: cut, but for those that are one letter or sign, which read like text.

Source: MathML 3, https://www.w3.org/TR/MathML3/chapter3.html (token elements).
"""

import re
import unicodedata

from lxml import etree

from biobert_jax.corpus.readers.xml import entities

_MATHML = "{http://www.w3.org/1998/Math/MathML}"
MATH = f"{_MATHML}math"
_TOKENS = tuple(_MATHML + name for name in ("mi", "mo", "mn", "mtext", "ms"))
_SIGNS = "%′″†‡"
_WORD = re.compile("[a-z]{3}")  # not of "jth"


def letter_or_sign(formula: etree._Element) -> str:
    """`α` or `±` where that is all of a formula, TeX and the like beside it apart; else "".

    A letter is kept apart from a word that follows at once, which only typesetting had kept apart.

    Args:
      formula: MathML's `math`, or an element that holds one.
    """
    math = formula if formula.tag == MATH else next(formula.iter(MATH), None)
    if math is None:
        return ""
    found = ""
    for token in math.iter(*_TOKENS):
        text = entities("".join(token.itertext())) if len(token) else token.text or ""
        # Without space and the operators that nobody sees, U+2061 and so on.
        found += "".join(c for c in text if not c.isspace() and unicodedata.category(c) != "Cf")
        if len(found) > 1:
            return ""
    if not found:
        return ""
    if found == "∘" and next(math.iter(f"{_MATHML}msup"), None) is not None:
        return "°"
    if "\U0001d400" <= found <= "\U0001d7ff":  # letters in italics, bold and so on
        found = unicodedata.normalize("NFKC", found)
    kind = unicodedata.category(found)
    if kind[0] == "L":
        return f"{found} " if _WORD.match(formula.tail or "") else found
    return found if kind in ("Sm", "So") or found in _SIGNS else ""
