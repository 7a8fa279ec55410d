"""Which Creative Commons licence an article is under, from what publishers write.

Source: JATS `license`, https://jats.nlm.nih.gov/archiving/tag-library/1.3/element/license.html
"""

import re
from collections.abc import Sequence

from lxml import etree

from biobert_jax.corpus.documents import clean_passage
from biobert_jax.errors import UserError

_HREF = "{http://www.w3.org/1999/xlink}href"

_URL = re.compile(
    r"creativecommons\.org/(?:licenses/(by(?:-(?:nc|nd|sa))*)|publicdomain/(zero))(?![a-z-])",
    re.IGNORECASE,
)
_SHORT = re.compile(
    r"\b(?:(CC[\s_-]?0|CC[\s_-]zero)|CC[\s_-]?(BY(?:[\s_-]?(?:NC|ND|SA))*))"
    r"(?:(?![A-Za-z])|(?=licen[cs]e))",  # ALI's content-type: "ccbyncndlicense"
    re.IGNORECASE,
)
_ATTRIBUTION = re.compile(
    r"creative[\s-]*commons[\s-]*(?:by[\s-]*)?attribution|\bcreativeCommonsBy(?![a-z-])",
    re.IGNORECASE,
)
_CONDITIONS = {
    "NC": re.compile(r"non[-‐‑–]?\s?commercial", re.IGNORECASE),
    "ND": re.compile(r"no[-‐‑–]?\s?deriv|no modifications or adaptations", re.IGNORECASE),
    "SA": re.compile(r"share[-‐‑–]?\s?alike", re.IGNORECASE),
}
# "for any purpose, commercial or non-commercial" is no condition.
_OR = r",? ?(?:and|or|and/or|as well as|&|/) ?(?:for )?"
_COMMERCIAL_TOO = re.compile(
    rf"(?<!-)\bcommercial(?:ly)?{_OR}non[-‐‑–]?\s?commercial"
    rf"|non[-‐‑–]?\s?commercial(?:ly)?{_OR}commercial",
    re.IGNORECASE,
)


def license_name(text: str) -> str:
    """`CC BY-NC` from "cc-by-nc 4.0" or a Creative Commons address; "" if it names none.

    Of several the strictest, or what all their conditions make together.
    """
    found = [match.groups() for match in _URL.finditer(text)]
    found += [match.groups()[::-1] for match in _SHORT.finditer(text)]
    return _strictest({_normal(*groups) for groups in found})


def article_license(meta: etree._Element) -> str:
    """The licence in an article's metadata: CC0, CC BY, CC BY-NC, -SA, -ND, -NC-SA, -NC-ND or "".

    Publishers write it more than once: as an address in `license`, ALI's `license_ref`, in links,
    attributes and words, sometimes in `copyright-statement` alone; and not always the same one. All
    are read and the strictest counts: no article passes as freer than any of them says.
    """
    licenses = list(meta.iter("{*}license", "{*}open-access"))
    refs = list(meta.iter("{*}license_ref"))
    words = [
        clean_passage(" ".join(x.itertext()))
        for x in (*licenses, *refs, *meta.iter("{*}copyright-statement"))
    ]
    for license in licenses:
        words += [license.get(key, "") for key in ("license-type", "specific-use")]
    words += [ref.get("content-type", "") for ref in refs]
    links = [x.get(_HREF, "") for x in licenses]
    links += [x.get(_HREF, "") for y in licenses for x in y.iter("{*}ext-link", "{*}uri")]
    return stated_license([*links, *words])


def stated_license(statements: Sequence[str]) -> str:
    """The strictest licence that statements together make: addresses, short names or sentences."""
    names = {license_name(statement) for statement in statements} - {""}
    text = clean_passage(" ".join(statements))
    if _ATTRIBUTION.search(text):
        names.add("CC BY")
    text = _COMMERCIAL_TOO.sub("", text)
    conditions = [name for name, pattern in _CONDITIONS.items() if pattern.search(text)]
    if names and conditions:
        names.add(_normal("-".join(["BY", *conditions])))
    return _strictest(names)


def wanted_licenses(names: tuple[str, ...]) -> frozenset[str]:
    """The names as `article_license` gives them.

    Raises:
      UserError: one is no Creative Commons licence.
    """
    for name in names:
        if not license_name(name):
            known = "CC0, CC BY, CC BY-NC, CC BY-SA, CC BY-ND, CC BY-NC-SA or CC BY-NC-ND"
            raise UserError(f"unknown licence {name!r}: use {known}")
    return frozenset(map(license_name, names))


def _normal(by: str | None, zero: str | None = None) -> str:
    if zero or not by:
        return "CC0"
    conditions = set(re.findall("NC|SA|ND", by.upper()))
    return "-".join(["CC BY", *(c for c in ("NC", "SA", "ND") if c in conditions)])


def _strictest(names: set[str]) -> str:
    """One name for several: "" for none, and for conditions that no licence has together."""
    # "CC0 applies to the data made available in this article", which is itself under another.
    others = names - {"CC0"}
    if not others:
        return "CC0" if names else ""
    name = _normal("-".join(sorted(others)))
    return "" if {"SA", "ND"} <= set(name.split("-")) else name
