"""Reads XML record by record, and refuses what a hostile file could do to the reader.

No DTD is loaded, no entity is expanded, nothing outside the file is opened, nothing is mended, and
libxml2's own limits hold: 10 MB a text, 2,048 elements deep. What those leave open (many small
elements, a record that never ends) is bounded here, so memory does not grow with the file.
"""

import html
import html.entities
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from lxml import etree

from biobert_jax.corpus.documents import CorpusFileError, clean_passage

# Each is refused above this. The markup is counted in "<" and "=": elements and attributes take
# some 100 bytes each in memory, far more than in the file. PubMed's records have some 10 kB, PMC's
# articles 0.1 MB and, with large tables, some tens of MB.
MAX_RECORD_BYTES = 128 << 20
MAX_RECORD_MARKUP = 3_000_000
# Before the root element stand a declaration and a DOCTYPE.
MAX_PROLOG_BYTES = 1 << 20

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
CHUNK_BYTES = 1 << 16

# What a second document behind the first one looks like to libxml2.
_AFTER_THE_END = (etree.ErrorTypes.ERR_DOCUMENT_END, etree.ErrorTypes.ERR_RESERVED_XML_NAME)
_LXML_PLACE = re.compile(r"\s*, line \d+, column \d+\s*$")
_NAMESPACE = re.compile(r"\{.*\}")
_TAG = re.compile(r"<[^>]*>")
_REFERENCE = re.compile(
    r"&(?:amp;|#38;|#x26;)*(#\d{1,7}|#[xX][\da-fA-F]{1,6}|[A-Za-z][A-Za-z\d.]{0,31});"
)
# ISO's names that HTML left out: those of ISOgrk1 and ISOgrk2, for words in Greek, and some that
# its later editions changed. ISOgrk4, bold symbols, has the others' names with "b." before them.
_ISO_NAMES = {
    f"{name}{ending}": character
    for ending, names, characters in (
        ("gr", "a b g d e z ee th i k l m n x o p r s t u ph kh ps oh", "αβγδεζηθικλμνξοπρστυφχψω"),
        ("gr", "A B G D E Z EE TH I K L M N X O P R S T U PH KH PS OH", "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ"),
        ("gr", "sf aac eac eeac iac oac uac ohac idi udi idia udia", "ςάέήίόύώϊϋΐΰ"),
        ("gr", "Aac Eac EEac Iac Oac Uac OHac Idi Udi", "ΆΈΉΊΌΎΏΪΫ"),
        ("2", "larr rarr uarr darr lrarr rlarr lrhar rlhar", "⇇⇉⇈⇊⇆⇄⇋⇌"),
        ("", "thetas phis epsis jnodot vprime", "θφϵj′"),
    )
    for name, character in zip(names.split(), characters, strict=True)
}
# Markup that was escaped as if it were text: "60,000/mm&lt;PRE&gt;3&lt;/PRE&gt;".
_ESCAPED_TAG = re.compile(
    r"</?(?:pre|sub|sup|em|strong|br|italic|bold|[biup])\s*/?>", re.IGNORECASE
)
_STRING = etree.XPath("string()", smart_strings=False)


def local_name(element: etree._Element) -> str:
    """The element's tag without its namespace."""
    return _NAMESPACE.sub("", element.tag)


def chunks(stream: BinaryIO) -> Iterator[bytes]:
    """The stream in the pieces that `xml_records` likes."""
    return iter(lambda: stream.read1(CHUNK_BYTES), b"")


def xml_records(
    data: Iterable[bytes], path: str, *, kind: str, tags: tuple[str, ...], roots: tuple[str, ...]
) -> Iterator[etree._Element]:
    """Yields each complete record; it is emptied when the next one is asked for.

    Entity references stay what they are: `element_text` turns them into characters.

    Args:
      data: the document in pieces.
      path: for errors.
      kind: "PubMed", say, for errors.
      tags: of the records, as lxml takes them (`{*}article` for any namespace).
      roots: local names that the root element may have; the first is the usual one.

    Raises:
      CorpusFileError: the document is not well-formed, has another root, declares entities or is
        out of bounds. The records before the fault have been yielded, and are whole: broken XML
        is blamed only when the rest of `data` could be read.
    """
    data = iter(data)
    read, root = _to_root(data, path, kind, roots)
    # A file that is one record needs no events, which cost as much as the parsing.
    single = f"{{*}}{root}" in tags or root in tags
    if single:
        parser = etree.XMLParser(**_SAFE)
    else:
        parser = etree.XMLPullParser(events=("end",), tag=tags, **_SAFE)
    pending = markup = 0  # Since the last record.
    for piece in itertools.chain([read], data, [b""]):
        pending += len(piece)
        markup += piece.count(b"<") + piece.count(b"=")
        error = None
        try:
            record = parser.feed(piece) if piece else parser.close()
        except etree.XMLSyntaxError as syntax_error:
            error = syntax_error
        if not single:
            for _, record in parser.read_events():
                yield record
                _release(record)
                pending = markup = 0
        if error is not None:
            # Damaged gzip mostly shows as odd characters first, and as what it is at its end.
            for _ in data:
                pass
            raise _not_well_formed(path, error) from error
        if pending > MAX_RECORD_BYTES or markup > MAX_RECORD_MARKUP:
            reason = (
                f"more than {MAX_RECORD_BYTES >> 20} MiB or {MAX_RECORD_MARKUP:,} tags and "
                "attributes in one record; not read further"
            )
            raise CorpusFileError(path, "", reason, whole_before=True)
    if single:
        yield record


def element_text(element: etree._Element) -> str:
    """All text in an element, entity references as `entities` has them."""
    if not len(element):
        return element.text or ""
    if next(element.iter(etree.Entity), None) is None:
        return _STRING(element)
    xml = etree.tostring(element, encoding="unicode", with_tail=False)
    return entities(_TAG.sub("", xml))


def unescaped(text: str) -> str:
    """Text without what its publisher escaped once too often: `P &lt; 0.05`, `m<sup>2</sup>`."""
    if "&" in text:
        text = entities(text)
    if "</" in text:  # Without a closing tag, "a <b> c" is a comparison.
        text = _ESCAPED_TAG.sub("", text)
    return text


def entities(text: str) -> str:
    """`&alpha;`, `&#945;` and the like as characters, however often their ampersand was escaped.

    The DTDs that declare them are never loaded; HTML's names cover nearly all of ISO's. Without a
    semicolon it is no reference: "R&D", "H&E".
    """
    return _REFERENCE.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    name = match[1]
    if name[0] == "#":
        return html.unescape(f"&{name};")
    plain = name.removeprefix("b.")
    return html.entities.html5.get(f"{plain};") or _ISO_NAMES.get(plain) or f"&{name};"


def _to_root(
    data: Iterator[bytes], path: str, kind: str, roots: tuple[str, ...]
) -> tuple[bytes, str]:
    """Reads until the root element has begun; refuses entity declarations and foreign roots.

    A little at a time and with a parser of its own, so that a hostile or a foreign file is refused
    before anything of it has been built.

    Returns:
      What was read, and the root's local name.
    """
    parser = etree.XMLPullParser(events=("start",), **_SAFE)
    read = []
    size = 0
    for piece in itertools.chain(data, [b""]):
        read.append(piece)
        for start in range(0, len(piece) or 1, _PROLOG_BYTES):
            error = None
            try:
                parser.feed(piece[start : start + _PROLOG_BYTES]) if piece else parser.close()
            except etree.XMLSyntaxError as syntax_error:
                error = syntax_error
            for _, root in parser.read_events():  # A fault after the root is not for here.
                _check_root(root, path, kind, roots)
                return b"".join(read), local_name(root)
            if error is not None:
                raise _not_well_formed(path, error) from error
        size += len(piece)
        if size > MAX_PROLOG_BYTES:
            raise CorpusFileError(path, "", f"not {kind} XML: it does not begin with an element")
    raise CorpusFileError(path, "", f"not {kind} XML: it holds no element")


def _check_root(root: etree._Element, path: str, kind: str, roots: tuple[str, ...]) -> None:
    doctype = root.getroottree().docinfo.internalDTD
    if doctype is not None and any(True for _ in doctype.iterentities()):
        reason = f"the DOCTYPE declares entities, which {kind} files never do; not read"
        raise CorpusFileError(path, str(root.sourceline), reason)
    if local_name(root) not in roots:
        name = _shortened(local_name(root))
        reason = f"not {kind} XML: the root element is {name}, not {roots[0]}"
        raise CorpusFileError(path, str(root.sourceline), reason)


def _shortened(text: str) -> str:
    """What repeats names from the file, which may be as long as they like, for a line."""
    text = clean_passage(text)
    return text if len(text) <= 200 else f"{text[:200]} …"


def _release(record: etree._Element) -> None:
    """Frees a record and whatever stands before it, which the root would otherwise keep."""
    record.clear()
    parent = record.getparent()
    while parent is not None:
        while record.getprevious() is not None:
            del parent[0]
        record, parent = parent, parent.getparent()


def _not_well_formed(path: str, error: etree.XMLSyntaxError) -> CorpusFileError:
    line, column = error.position
    message = _shortened(_LXML_PLACE.sub("", error.msg or "no reason given"))
    if error.code in _AFTER_THE_END:
        message += " (files joined into one? split them)"
    position = f"{line}:{column}" if line else ""
    return CorpusFileError(path, position, f"not well-formed XML: {message}", whole_before=True)
