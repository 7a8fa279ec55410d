"""The formats of raw corpora and of prepared records, listed once.

Nothing is imported here, so that the command line can name them all at no cost.
"""

from dataclasses import dataclass

# What prepared records hold: see `dataset.records.RecordFormat`.
RECORD_FORMATS = ("packed", "bert")
OBJECTIVES = ("mlm", "mlm_nsp")

YEARS = ("first_year", "last_year")


@dataclass(frozen=True)
class CorpusFormat:
    """A format of raw files.

    Attributes:
      reader: its function, as `module:name` within `corpus.readers`.
      description: for --help.
      suffixes: endings of the names of its files, which are what is read of a folder; each with
        .gz behind it, too.
      heeded: what it heeds of `ReadOptions`.
      ids_are_global: ids name one article everywhere, so that equal ids in two files are one
        article. What has no id of its own is called by its path for that reason.
      version: part of the fingerprint of what was made of such files: raise it when the text that
        the reader gives changes.
    """

    reader: str
    description: str
    suffixes: tuple[str, ...]
    heeded: frozenset[str] = frozenset()
    ids_are_global: bool = False
    version: int = 1


FORMATS: dict[str, CorpusFormat] = {
    "pubmed": CorpusFormat(
        "pubmed:read_pubmed",
        "PubMed XML",
        (".xml",),
        frozenset({"titles", "section_labels", "other_abstracts", "languages", *YEARS})
        | {"publication_types", "exclude_publication_types"},
        ids_are_global=True,
        version=2,
    ),
    "pmc": CorpusFormat(
        "pmc:read_pmc",
        "JATS articles, single or in .tar.gz packages",
        (".xml", ".nxml", ".tar", ".tgz"),
        frozenset({"titles", "section_labels", "captions", "languages", "licenses", *YEARS}),
        ids_are_global=True,
        version=2,
    ),
    "bioc": CorpusFormat(
        "bioc:read_bioc",
        "BioC XML",
        (".xml",),
        frozenset({"titles", "section_labels", "captions", "licenses", *YEARS}),
        version=2,
    ),
    "text": CorpusFormat(
        "text:read_text",
        "a sentence or paragraph a line, a blank line between documents",
        (".txt", ".text"),
    ),
    "jsonl": CorpusFormat(
        "jsonl:read_jsonl", 'an object with "text" and perhaps "id" a line', (".jsonl", ".ndjson")
    ),
}
