"""PubTator: of each document a title, an abstract and, between tabs, what is annotated in them.

    8701013|t|Famotidine-associated delirium.
    8701013|a|Famotidine is used in inpatient settings.
    8701013<TAB>0<TAB>10<TAB>Famotidine<TAB>Chemical<TAB>D015738
    8701013<TAB>CID<TAB>D015738<TAB>D003693

An annotation has start, end, mention, type and, perhaps, identifiers; columns behind them are not
read. What has a name where the start would be is a relation: its type, two arguments, and whatever
else the file says of it. Offsets count code points of title, one separator and abstract. A document
begins with its title; blank lines mean nothing.

Real files have mentions that do not stand where they say. Three ways to mend one are known, tried
in this order, and noted with the number of such: the offsets count bytes of UTF-8; the start is
right, and the end is not; both are right, but the mention is spelt with other punctuation, white
space or case. Any other is a fault.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from biobert_jax.corpus.readers.lines import read_lines
from biobert_jax.formats.documents import Annotation, Document, Passage, Relation
from biobert_jax.formats.faults import ANYTHING, Fault, check_is_file, ignore, refuse
from biobert_jax.units import plural

_TEXT = re.compile(r"([^|\t]+)\|([ta])\|(.*)", re.DOTALL)
_RELATION = re.compile(r"[^\W\d]")
# A variant's, such as c|SUB|C|339|T, has bars in itself.
_VARIANT = re.compile(r"[a-z]\|")
_NO_IDENTIFIER = ("", "-", "-1")


@dataclass
class _Block:
    """The lines of a document."""

    id: str
    number: int
    title: str
    abstract: str | None = None
    rows: list[tuple[int, list[str]]] = field(default_factory=list)


class _Mended:
    """Mentions that do not stand where they say, by what was done about them."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[str, str, int]] = {}

    def add(self, how: str, where: str, mention: str) -> None:
        first, example, count = self._found.get(how, (where, mention, 0))
        self._found[how] = (first, example, count + 1)

    def tell(self, note: Fault) -> None:
        for how, (where, mention, count) in self._found.items():
            note(where, f"{mention!r:.80}: {how} ({plural(count, 'such mention')} in the file)")


def read_pubtator(
    path: str | os.PathLike[str], *, fault: Fault = refuse, note: Fault = ignore
) -> list[Document]:
    """Reads a UTF-8 file, plain or gzip.

    Passages are of the kinds title and abstract, the latter where the file has a line for it. Of
    identifiers, which bars, commas or semicolons separate, -1 is none. A document that stands twice
    word for word is kept, and noted.

    Raises:
      UserError: The file is absent, unreadable, not UTF-8 or without documents; or, unless `fault`
        takes them, a line is of another form or of another document, a mention has no type, its
        offsets are none or reach out of title and abstract, or the text has other words there; or
        an id stood before with something else. File and line are named.
    """
    check_is_file(path)
    mended = _Mended()
    seen: dict[str, Document] = {}
    documents = []
    for block in _blocks(path, fault):
        document = _document(block, path, fault, mended)
        first = seen.setdefault(document.id, document)
        if first is not document and first != document:
            fault(
                document.where,
                f"id {document.id!r} stands at {first.where} already, with another text or other "
                "annotations: make ids unique",
            )
            continue
        if first is not document:
            note(document.where, f"document {document.id} again, the same as at {first.where}")
        documents.append(document)
    mended.tell(note)
    if not documents:
        refuse(f"{path}", "no documents: PubTator has a line ID|t|TITLE for each")
    return documents


def _blocks(path: str | os.PathLike[str], fault: Fault) -> Iterator[_Block]:
    block = None
    for number, line in read_lines(path, expected=ANYTHING):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        if found := _TEXT.fullmatch(line):
            id_, kind, text = found.groups()
            if kind == "t":
                if block is not None:
                    yield block
                block = _Block(id_, number, text)
            elif block is None or block.id != id_:
                fault(where, f"an abstract of {id_!r} without its title before: give |t| first")
            elif block.abstract is not None:
                fault(where, f"a second abstract of {id_!r}: join them, or drop one")
            else:
                block.abstract = text
            continue
        fields = line.split("\t")
        if len(fields) == 1:
            fault(where, f"no ID|t|, no ID|a| and no columns between tabs: {line.strip()!r:.60}")
        elif block is None or fields[0].strip() != block.id:
            fault(where, f"of {fields[0]!r:.60}, whose title does not stand before: move it there")
        else:
            block.rows.append((number, fields))
    if block is not None:
        yield block


def _document(
    block: _Block, path: str | os.PathLike[str], fault: Fault, mended: _Mended
) -> Document:
    texts = {"title": (0, block.title)}
    if block.abstract is not None:
        texts["abstract"] = (len(block.title) + 1, block.abstract)
    text = " ".join(own for _, own in texts.values())
    found: dict[str, list[Annotation]] = {kind: [] for kind in texts}
    relations = []
    for number, fields in block.rows:
        where = f"{path}:{number}"
        try:
            if _RELATION.match(fields[1]):
                relations.append(_relation(fields))
                continue
            annotation = _annotation(fields, text, where, mended)
            kind = next(
                (
                    kind
                    for kind, (offset, own) in texts.items()
                    if offset <= annotation.start and annotation.end <= offset + len(own)
                ),
                None,
            )
            if kind is None:
                raise ValueError(f"{annotation.text!r:.60} goes on from the title to the abstract")
        except ValueError as error:
            fault(where, str(error))
            continue
        found[kind].append(annotation)
    passages = tuple(
        Passage(kind, offset, own, tuple(found[kind])) for kind, (offset, own) in texts.items()
    )
    return Document(block.id, passages, tuple(relations), f"{path}:{block.number}")


def _relation(fields: Sequence[str]) -> Relation:
    """Raises ValueError where an argument is missing."""
    if len(fields) < 4:
        raise ValueError(f"relation {fields[1]!r:.60} needs two arguments behind its type")
    return Relation(fields[1], tuple(fields[2:4]), tuple(fields[4:]))


def _annotation(fields: Sequence[str], text: str, where: str, mended: _Mended) -> Annotation:
    """Raises ValueError for what is none, or stands nowhere."""
    if len(fields) < 5 or not fields[4].strip():
        raise ValueError(
            f"{plural(len(fields), 'column')}, where ID, start, end, mention and type, between "
            "tabs, were expected"
        )
    start, end, mention = *fields[1:3], fields[3]
    if not (start.isdecimal() and end.isdecimal() and int(start) < int(end)):
        raise ValueError(
            f"start {start!r:.20} and end {end!r:.20}: give whole numbers, the end after the start"
        )
    start, end = int(start), int(end)
    place = _place(text, start, end, mention)
    if place is None and end > len(text):
        raise ValueError(
            f"{mention!r:.60}, {start} to {end}, is not in title and abstract, {len(text)} code "
            "points: offsets count from 0 and the end is exclusive"
        )
    if place is None:
        raise ValueError(
            f"mention {mention!r:.60}, but the text has {text[start:end]!r:.60} at {start} to {end}"
        )
    start, end, how = place
    if how:
        mended.add(how, where, mention)
    identifiers = _identifiers(fields[5] if len(fields) > 5 else "")
    return Annotation(fields[4].strip(), ((start, end),), text[start:end], identifiers=identifiers)


def _place(text: str, start: int, end: int, mention: str) -> tuple[int, int, str] | None:
    """Where a mention stands, and what is wrong with its offsets; None: nowhere near."""
    if text[start:end] == mention:
        return start, end, ""
    data = text.encode()
    if len(data) > len(text) and data[start:end] == mention.encode():
        start = len(data[:start].decode())
        return start, start + len(mention), "its offsets count bytes: read so"
    if mention and text.startswith(mention, start):
        return start, start + len(mention), "its end is another: read whole"
    letters = _letters(mention)
    if letters and end <= len(text) and letters == _letters(text[start:end]):
        return start, end, "spelt otherwise in the text: read as it stands there"
    return None


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


def _identifiers(text: str) -> tuple[str, ...]:
    text = text.strip()
    parts = [text] if _VARIANT.match(text) else re.split(r"[|,;]", text)
    return tuple(part.strip() for part in parts if part.strip() not in _NO_IDENTIFIER)
