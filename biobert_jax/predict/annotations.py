"""What prediction takes and yields: a document's text, and the entities found in it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from biobert_jax.errors import UserError


class RawDocument(NamedTuple):
    """A text to be tagged, exactly as it was given, and its id."""

    id: str
    text: str


@dataclass(frozen=True)
class Entity:
    """A tagged span; `start` and `end` count Unicode code points, `end` exclusive.

    `document.text[start:end] == text` always. `score` is the entity's probability, in [0, 1], as
    `tasks.entities` says; calibrated where the checkpoint was fine-tuned with a held-out file.
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


def as_documents(documents: Iterable[RawDocument | str]) -> Iterator[RawDocument]:
    """Texts as documents, as `EntityTagger.tag` takes them; checked when they are gone over.

    Raises:
      UserError: at once where `documents` is a single one; later for what is no text.
    """
    if isinstance(documents, str | RawDocument) or not isinstance(documents, Iterable):
        raise UserError(f"{documents!r:.80}: give a list of texts, as in tag([text])")

    def checked() -> Iterator[RawDocument]:
        for number, document in enumerate(documents):
            is_raw = isinstance(document, RawDocument)
            id_, text = document if is_raw else (str(number), document)
            if not isinstance(text, str):
                raise UserError(
                    f"document {number}: {text!r:.80} is no text: leave out what is missing, such "
                    "as by df['text'].dropna()"
                )
            yield RawDocument(str(id_), text)

    return checked()
