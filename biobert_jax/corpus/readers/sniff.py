"""Which format a file is of, told by its first bytes: what nobody else's reader should be given.

Only strong evidence counts. Text may begin with `<` or `{`, and a wrong guess refuses a good file;
a missed one is what the format's own reader has to complain of.
"""

import codecs
import contextlib
import json
import re
from typing import NamedTuple

from biobert_jax.corpus.formats import FORMATS

# Enough for a DOCTYPE and some lines.
HEAD_BYTES = 1 << 16

# What is told by its first bytes alone.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "pdf"),
    (b"{\\rtf", "rtf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "doc"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstandard"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x1f\x9d", "compress"),
    (b"\x1f\x8b", "gzip"),
    (b"PAR1\x15", "parquet"),  # PAR1 alone is a receptor
    (b"SQLite format 3\x00", "sqlite"),
    (b"\x89PNG\r\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"II*\x00", "image"),
    (b"MM\x00*", "image"),
)
_PACKED = ("bzip2", "xz", "zip", "zstandard", "lz4", "7z", "rar", "compress")
_UNPACK = "unpack it, or pack it with gzip"
_AS_TEXT = "save it as plain text first"
# By the names that `sniff` gives: what it is, and what to do where it is not read.
_WHAT: dict[str, tuple[str, str]] = {
    "pubmed": ("PubMed XML", ""),
    "pmc": ("JATS XML, as PMC has it", ""),
    "bioc": ("BioC XML", ""),
    "xml": ("XML of a kind that is not known here", "extract its text first"),
    "text": ("plain text", ""),
    "jsonl": ("JSON lines", ""),
    "json": ("one JSON document", 'write an object with "text" a line (jq -c can)'),
    "bioc_json": ("BioC JSON", "fetch or save it as BioC XML"),
    "pubtator": ("PubTator", 'write an object with "id" and "text" a line (JSON lines)'),
    "conll": ("words and labels in columns (CoNLL)", "that is for biobert finetune and evaluate"),
    "html": ("HTML", "extract its text first (html2text)"),
    "pdf": ("a PDF", "extract its text first (pdftotext)"),
    "rtf": ("RTF", _AS_TEXT),
    "doc": ("an office document", _AS_TEXT),
    "docx": ("an office document", _AS_TEXT),
    "image": ("an image", "its text must be recognized first (OCR)"),
    "parquet": ("Parquet", 'write an object with "id" and "text" a line (JSON lines)'),
    "sqlite": ("an SQLite database", 'write an object with "id" and "text" a line (JSON lines)'),
    "tar": ("a tar archive", "unpack it"),
    "gzip": ("packed twice with gzip", "unpack it once"),
    "utf-16": ("UTF-16", "convert it: iconv -f utf-16 -t utf-8"),
    "utf-16le": ("UTF-16", "convert it: iconv -f utf-16le -t utf-8"),
    "utf-16be": ("UTF-16", "convert it: iconv -f utf-16be -t utf-8"),
    "utf-32": ("UTF-32", "convert it: iconv -f utf-32 -t utf-8"),
    **{kind: (f"a {kind} file", _UNPACK) for kind in _PACKED},
}

_PROLOG = re.compile(
    rb"(?:\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>)*", re.DOTALL | re.IGNORECASE
)
_ROOT = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)(?=[\s/>])")
_PUBMED_ROOTS = frozenset(
    (b"PubmedArticleSet", b"PubmedArticle", b"PubmedBookArticle", b"MedlineCitationSet")
)
_JATS_SIGNS = re.compile(rb"<front[\s>]|article-type=|dtd-version=|JATS|DTD Journal|NLM//DTD")
_BIOC_SIGNS = re.compile(rb"BioC|<source[\s>/]|<document[\s>]")
_JSON_KEY = re.compile(rb'\{\s*"[^"\\\n]{1,200}"\s*:\s*["{\[\d\-tfn]')
_JSON_ARRAY = re.compile(
    rb'\[\s*(?:\{\s*"[^"\\\n]{1,200}"\s*:|"(?:[^"\\\n]|\\.)*"\s*(?:,\s*["\[{]|\]\s*(?:\n|\Z)))'
)
_BIOC_JSON = re.compile(rb'"(?:passages|documents)"\s*:\s*\[')
_PUBTATOR = re.compile(rb"\s*([^\s|]{1,100})\|t\|[^\n]*\r?\n\1\|a\|")
_COLUMNS = re.compile(rb"\S+(?:[ \t]+\S+)*[ \t]+(?:O|[BIESLU](?:-\S+)?)\s*")
# Fewer lines of columns could be chance.
_FEWEST_LINES = 5
_MOST_LINES = 100


def sniff(head: bytes) -> str:
    """The name of the format, "" where there is no strong evidence of any: plain text, perhaps.

    Args:
      head: a file's first bytes, unpacked: all of a short file, else `HEAD_BYTES` of it.

    Returns:
      A corpus format ("pubmed", "pmc", "bioc", "jsonl") or one that is not read as a corpus
      ("bioc_json", "json", "pubtator", "conll", "xml", "html", "pdf", "rtf", "docx", "utf-16",
      "bzip2", ...).
    """
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if re.match(rb"BZh[1-9]1AY&SY", head):
        return "bzip2"
    if head.startswith(b"PK\x03\x04"):
        inside = (b"[Content_Types].xml", b"word/", b"mimetypeapplication/")
        return "docx" if any(name in head for name in inside) else "zip"
    # POSIX's mark and the old GNU one; tar.py knows those before POSIX, too.
    if head[257:262] == b"ustar":
        return "tar"
    if name := _wide_characters(head):
        return name
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith(b"%PDF-"):
        return "pdf"
    if text.startswith(b"<"):
        return _xml(text)
    if text.startswith((b"{", b"[")):
        return _json(text)
    if _PUBTATOR.match(text):
        return "pubtator"
    return "conll" if _has_columns(text, cut=len(head) >= HEAD_BYTES) else ""


class Expected(NamedTuple):
    """What a file is about to be read as, to be compared with what it is.

    Attributes:
      format: one of `formats`; "" if anything will do that is not packed.
      option: the option that chose it; "" if there was no choice.
      formats: the values that the option takes.
    """

    format: str = ""
    option: str = "--format"
    formats: tuple[str, ...] = tuple(FORMATS)


def wrong_format(head: bytes, expected: Expected) -> str:
    """Why a file is not of the format that it is taken for, and what to do; "" if it may be.

    Args:
      head: as for `sniff`.
    """
    found, wanted = sniff(head), expected.format
    if found in ("", wanted) or (wanted, found) == ("pmc", "tar"):
        return ""
    if not wanted and found not in _PACKED:
        return ""
    is_xml = wanted in ("pubmed", "pmc", "bioc")
    # Their readers know better what is wrong with XML, or with a JSON object.
    if is_xml and found in ("xml", "utf-16", "utf-16le", "utf-16be", "utf-32"):
        return ""
    first = head.removeprefix(codecs.BOM_UTF8).lstrip().split(b"\n", 1)[0].strip()
    if wanted == "jsonl" and found == "json" and first not in (b"[", b"{"):
        return ""
    what, remedy = _WHAT[found]
    if found in expected.formats:
        remedy = f"use {expected.option} {found}"
    elif found in FORMATS:
        remedy = f"{expected.option} takes {', '.join(expected.formats)} only"
        if not expected.option:
            remedy = f"{_WHAT[wanted][0]} is wanted here"
    return f"this is {what}: {remedy}"


def _wide_characters(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # Without a mark: Latin letters have a NUL beside each.
    even, odd = head[0:1000:2], head[1:1000:2]
    if len(head) >= 8 and not even.count(0) and odd.count(0) > 0.8 * len(odd):
        return "utf-16le"
    if len(head) >= 8 and not odd.count(0) and even.count(0) > 0.8 * len(even):
        return "utf-16be"
    return ""


def _xml(text: bytes) -> str:
    prolog = _PROLOG.match(text)[0]
    declared = prolog.lstrip()[:9].lower().startswith((b"<?xml", b"<!doctype"))
    root = _ROOT.match(text, len(prolog))
    name = root[1] if root else b""
    if name.lower() == b"html" or re.match(rb"\s*<!doctype\s+html\b", text, re.IGNORECASE):
        return "html"
    if name in _PUBMED_ROOTS:
        return "pubmed"
    if name in (b"pmc-articleset", b"OAI-PMH") or (name == b"article" and _JATS_SIGNS.search(text)):
        return "pmc"
    if name == b"collection" and _BIOC_SIGNS.search(text):
        return "bioc"
    return "xml" if declared else ""


def _json(text: bytes) -> str:
    first, newline, _ = text.partition(b"\n")
    value = None
    if newline or len(text) < HEAD_BYTES:
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(first)
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        return "jsonl"
    if not (_JSON_KEY.match(text) or _JSON_ARRAY.match(text)):
        return ""
    if _BIOC_JSON.search(text):
        return "bioc_json"
    if isinstance(value, dict) or (not newline and text.startswith(b"{") and b'"text"' in text):
        return "jsonl"
    return "json"


def _has_columns(text: bytes, cut: bool) -> bool:
    lines = text.split(b"\n", _MOST_LINES)
    if cut or len(lines) > _MOST_LINES:
        del lines[-1]
    words = [line for line in lines if line.strip() and not line.startswith(b"-DOCSTART-")]
    return len(words) >= _FEWEST_LINES and all(map(_COLUMNS.fullmatch, words))
