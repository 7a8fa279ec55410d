"""Annotated documents: the one form that readers of annotated corpora yield.

Offsets count Unicode code points of the document from 0 on, ends are exclusive. A passage stands at
its `offset`; so of a mention in one piece `passage.text[start - offset : end - offset] == text`.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Annotation:
    """A mention of a thing.

    Attributes:
      type: such as Disease.
      spans: its pieces, (start, end) in the document, in order; several where other words stand
        between them.
      text: the words of its pieces, separated by a space.
      id: by which the file's relations name it, where it has one.
      identifiers: the concepts it is linked to, such as D003924; none where the file says none.
      score: how probable it is, of predictions.
    """

    type: str
    spans: tuple[tuple[int, int], ...]
    text: str
    id: str = ""
    identifiers: tuple[str, ...] = ()
    score: float | None = None

    @property
    def start(self) -> int:
        """Where its first piece begins."""
        return self.spans[0][0]

    @property
    def end(self) -> int:
        """Where its last piece ends."""
        return self.spans[-1][1]


@dataclass(frozen=True)
class Passage:
    """A stretch of a document.

    Attributes:
      kind: title, abstract, ….
      offset: of its first code point in the document.
      annotations: that lie in it, in the file's order.
    """

    kind: str
    offset: int
    text: str
    annotations: tuple[Annotation, ...] = ()


@dataclass(frozen=True)
class Relation:
    """What a document says of several things.

    Attributes:
      type: such as Association.
      arguments: the things: identifiers of concepts, or ids of annotations, as the format has it.
      qualifiers: what else the file says of it, such as BioRED's Novel.
    """

    type: str
    arguments: tuple[str, ...]
    qualifiers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    """An abstract, article or note with its annotations.

    Attributes:
      id: the source's own, such as a PMID.
      passages: in reading order.
      where: file and line that it came from, for messages; it does not count in comparisons.
    """

    id: str
    passages: tuple[Passage, ...]
    relations: tuple[Relation, ...] = ()
    where: str = field(default="", compare=False)

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """Those of all passages."""
        return tuple(own for passage in self.passages for own in passage.annotations)
