"""The one form every corpus reader yields and every later stage takes."""

from dataclasses import dataclass

from biobert_jax.errors import UserError


@dataclass(frozen=True)
class Document:
    """One abstract, article or note.

    Attributes:
      id: the source's own identifier (a PMID, say), or `file:number` where it has none.
      passages: title, abstract sections, paragraphs or sentences, in reading order; none is
        empty and none holds a line break.
    """

    id: str
    passages: tuple[str, ...]


@dataclass
class ReadCounts:
    """What a reader has seen so far; it is brought up to date before each document is yielded.

    Attributes:
      documents: documents yielded.
      empty: records skipped because they hold no text.
      bytes: bytes read after decompression, read-ahead included.
    """

    documents: int = 0
    empty: int = 0
    bytes: int = 0


class CorpusFileError(UserError):
    """A corpus file that cannot be read, or not to its end.

    Attributes:
      path: the file, as the caller named it.
      position: `line` or `line:column`, or in words (`byte 1234`); empty if nothing was read.
      reason: what is wrong there and what to do.
    """

    def __init__(self, path: str, position: str, reason: str):
        # All three are handed on so that the error survives pickling out of a worker process.
        super().__init__(path, position, reason)
        self.path = path
        self.position = position
        self.reason = reason

    def __str__(self) -> str:
        # `file:12: reason` is the form that editors and terminals turn into a link.
        colon = ":" if self.position[:1].isdigit() else ": " if self.position else ""
        return f"{self.path}{colon}{self.position}: {self.reason}"


def clean_passage(text: str) -> str:
    """Turns every run of white space, line breaks included, into one space and strips the ends."""
    return " ".join(text.split())
