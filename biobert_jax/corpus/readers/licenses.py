"""Which Creative Commons licence an article is under, from what publishers write.

Source: JATS `license`, https://jats.nlm.nih.gov/archiving/tag-library/1.3/element/license.html
"""

import re

from lxml import etree

from biobert_jax.corpus.documents import clean_passage
from biobert_jax.errors import UserError

_HREF = "{http://www.w3.org/1999/xlink}href"

_URL = re.compile(
    r"creativecommons\.org/(?:licenses/(by(?:-(?:nc|nd|sa))*)|publicdomain/(zero))(?![a-z-])",
    re.IGNORECASE,
)
_SHORT = re.compile(
    r"\b(?:(CC[\s_-]?0|CC[\s_-]zero)|CC[\s_-]?(BY(?:[\s_-]?(?:NC|ND|SA))*))(?![A-Za-z])",
    re.IGNORECASE,
)
_ATTRIBUTION = re.compile(
    r"creative[\s-]*commons[\s-]*(?:by[\s-]*)?attribution|\bcreativeCommonsBy(?![a-z-])",
    re.IGNORECASE,
)
_CONDITIONS = {
    "NC": re.compile(r"non-?\s?commercial", re.IGNORECASE),
    "ND": re.compile(r"no-?\s?deriv", re.IGNORECASE),
    "SA": re.compile(r"share-?\s?alike", re.IGNORECASE),
}


def license_name(text: str) -> str:
    """`CC BY-NC` from "cc-by-nc 4.0" or a Creative Commons address; "" if it names none."""
    names = [_normal(*match.groups()) for match in _URL.finditer(text)]
    names = names or [_normal(*reversed(match.groups())) for match in _SHORT.finditer(text)]
    # "CC0 applies to the data made available in this article", which is itself under another.
    return next((name for name in names if name != "CC0"), "CC0" if names else "")


def article_license(meta: etree._Element) -> str:
    """The licence in an article's metadata: CC0, CC BY, CC BY-NC, -SA, -ND, -NC-SA, -NC-ND or "".

    What is made for machines comes first: the address in `license`, then ALI's `license_ref`, then
    addresses in the text, then `license-type`, and only then the words.
    """
    license = next(meta.iter("{*}license", "{*}open-access"), None)
    refs = [ref.text or "" for ref in meta.iter("{*}license_ref")]
    if license is None:
        return license_name(" ".join(refs))
    words = clean_passage(" ".join(license.itertext()))
    links = [x.get(_HREF, "") for x in license.iter("{*}ext-link", "{*}uri")]
    kinds = [license.get(key, "") for key in ("license-type", "specific-use")]
    for text in (license.get(_HREF, ""), " ".join(refs), " ".join(links), words, " ".join(kinds)):
        if name := license_name(text):
            return name
    text = " ".join((*kinds, words))
    if _ATTRIBUTION.search(text):
        return _normal("by" + "".join(f"-{k}" for k, v in _CONDITIONS.items() if v.search(text)))
    return ""


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
