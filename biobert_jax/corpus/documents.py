"""The one form every corpus reader yields and every later stage takes."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from biobert_jax.corpus.options import option
from biobert_jax.errors import UserError


@dataclass(frozen=True)
class Document:
    """One abstract, article or note.

    Attributes:
      id: the source's own identifier (a PMID, say), or `file:number` where it has none. The file
        is its name alone, but in the formats whose ids are global (`readers.GLOBAL_IDS`) the path
        as it was given, so that two articles are not taken for one.
      passages: title, abstract sections, paragraphs or sentences, in reading order; none is
        empty and none holds a line break.
      revision: among documents of one id, the one with the largest is the newest. PubMed: the
        PMID's Version, then DateRevised, as one number.
    """

    id: str
    passages: tuple[str, ...]
    revision: int = 0


@dataclass(frozen=True)
class ReadOptions:
    """What to read of a corpus; every reader takes all of it and heeds what its format has.

    Attributes:
      titles: whether the title is the first passage (PubMed, PMC).
      section_labels: whether labels and section titles are kept (PubMed, PMC).
      other_abstracts: PubMed's OtherAbstract too; most are translations.
      captions: captions of figures and tables too (PMC).
      languages: codes as PubMed writes them ("eng"); only such records. Empty: all.
      publication_types: only records with one of these ("Review"). Empty: all.
      exclude_publication_types: no record with one of these ("Retracted Publication").
      first_year, last_year: of publication; 0 is open.
      licenses: only articles under one of these ("CC BY", "CC0"; PMC). Empty: all.
    """

    titles: bool = option(True, "titles of articles (yes)", group="reading")
    section_labels: bool = option(False, "keep labels and titles of sections", group="reading")
    other_abstracts: bool = option(
        False, "PubMed's OtherAbstract: mostly translations", group="reading"
    )
    captions: bool = option(False, "captions of figures and tables", group="reading")
    languages: tuple[str, ...] = option(
        (), "only records in these languages (all)", group="reading", metavar="eng[,fre]"
    )
    publication_types: tuple[str, ...] = option(
        (), "only records with one of these (all)", group="reading", metavar="TYPE[,TYPE]"
    )
    exclude_publication_types: tuple[str, ...] = option(
        (), "no record with one of these", group="reading", metavar="TYPE[,TYPE]"
    )
    first_year: int = 0
    last_year: int = 0
    licenses: tuple[str, ...] = option(
        (), "PMC: only these, such as 'CC0,CC BY' (all)", group="reading", metavar="NAME[,NAME]"
    )


# Records a block: what a share of a file is counted in.
BLOCK_RECORDS = 64


class Share(NamedTuple):
    """Part `part` of `num_parts` of a file.

    That is every `num_parts`-th block of its records; or, where `stop` is given, the bytes from
    `start` to `stop`, with `lines` and `documents` before them: plain text or JSON lines, cut where
    a document ends.
    """

    part: int = 0
    num_parts: int = 1
    start: int = 0
    stop: int | None = None
    lines: int = 0
    documents: int = 0

    def holds(self, number: int) -> bool:
        """Whether the file's record `number`, counted from 0, empty ones too, belongs to it."""
        return self.stop is not None or number // BLOCK_RECORDS % self.num_parts == self.part


@dataclass
class ReadCounts:
    """What a reader has seen so far; it is brought up to date before each document is yielded.

    All but `bytes` count the records of the reader's share only, so that shares can be added up.

    Attributes:
      documents: documents yielded.
      empty: records skipped because they hold no text.
      bytes: bytes read after decompression, read-ahead included.
      dropped: records that an option left out, by reason ("language", "license", ...).
      failed: members of an archive that could not be read, `archive/member` to the reason.
      deleted: ids that the file says are deleted (PubMed's DeleteCitation).
    """

    documents: int = 0
    empty: int = 0
    bytes: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)


class CorpusFileError(UserError):
    """A corpus file that cannot be read, or not to its end.

    Attributes:
      path: the file, as the caller named it.
      position: `line` or `line:column`, or in words (`byte 1234`); empty if nothing was read.
      reason: what is wrong there and what to do.
      whole_before: whether the documents that came before the fault can be kept. They cannot where
        the bytes themselves are in doubt (damaged gzip, a read that failed).
    """

    def __init__(self, path: str, position: str, reason: str, whole_before: bool = False):
        # All are handed on so that the error survives pickling out of a worker process.
        super().__init__(path, position, reason, whole_before)
        self.path = path
        self.position = position
        self.reason = reason
        self.whole_before = whole_before

    def __str__(self) -> str:
        # `file:12: reason` is the form that editors and terminals turn into a link.
        colon = ":" if self.position[:1].isdigit() else ": " if self.position else ""
        return f"{self.path}{colon}{self.position}: {self.reason}"


def clean_passage(text: str) -> str:
    """Turns every run of white space, line breaks included, into one space and strips the ends."""
    return " ".join(text.split())
