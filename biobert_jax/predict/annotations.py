"""What prediction yields: a document's text and the entities found in it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entity:
    """A tagged span; `start` and `end` count Unicode code points, `end` exclusive.

    `document.text[start:end] == text` always. `score` is the mean probability of the
    span's word labels, in [0, 1].
    """

    start: int
    end: int
    type: str
    text: str
    score: float


@dataclass(frozen=True)
class AnnotatedDocument:
    """A document's untouched text with its entities, sorted by `start`, none overlapping."""

    id: str
    text: str
    entities: tuple[Entity, ...]
