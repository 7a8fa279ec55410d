"""Formats of fine-tuning data by name, and which one a file has."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from biobert_jax.corpus.readers.compressed import open_bytes
from biobert_jax.corpus.readers.sniff import sniff
from biobert_jax.errors import UserError, nearest
from biobert_jax.formats.faults import Fault, ignore, refuse
from biobert_jax.tasks.files.annotated import of_types, read_annotated
from biobert_jax.tasks.files.bioasq import read_abstracts, read_bioasq, read_bioasq_yes_no
from biobert_jax.tasks.files.conll import read_sentences
from biobert_jax.tasks.files.examples import Sentence
from biobert_jax.tasks.files.jsonl import read_jsonl
from biobert_jax.tasks.files.prepared import is_prepared, read_prepared
from biobert_jax.tasks.files.pubmedqa import read_pubmedqa
from biobert_jax.tasks.files.squad import read_question_lines, read_squad, read_yes_no
from biobert_jax.tasks.files.tsv import read_tsv

# Beside a file of BioASQ's: the texts that its questions' documents stand for, instead of snippets.
ABSTRACTS = "abstracts.jsonl"


class Format(NamedTuple):
    """A form of files.

    Attributes:
      readers: by task, the function from a file to its examples, which takes `fault` and `note`
        of `formats.faults` too.
      suffixes: that its files' names end with, before .gz.
    """

    readers: dict[str, Callable[..., list[Any]]]
    suffixes: tuple[str, ...]


def _with_abstracts(reader: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """The reader, with the passages of `ABSTRACTS` where that stands beside the file."""

    def read(path: str | os.PathLike[str], **said: Fault) -> list[Any]:
        beside = Path(path).parent / ABSTRACTS
        abstracts = read_abstracts(beside) if beside.is_file() else None
        return reader(path, abstracts=abstracts, **said)

    return read


def _read_conll(
    path: str | os.PathLike[str],
    *,
    types: Mapping[str, str] | None = None,
    fault: Fault,
    note: Fault,
) -> list[Sentence]:
    sentences = read_sentences(path, unlabelled=True, fault=fault, note=note)
    return sentences if types is None else of_types(sentences, types, path, note)


FORMATS = {
    "conll": Format({"ner": _read_conll}, (".tsv", ".conll", ".txt", ".iob", ".bio")),
    "pubtator": Format({"ner": read_annotated}, (".pubtator",)),
    "tsv": Format({"classification": read_tsv}, (".tsv", ".txt")),
    "jsonl": Format({"classification": read_jsonl, "qa": read_question_lines}, (".jsonl", ".txt")),
    "squad": Format({"qa": read_squad, "classification": read_yes_no}, (".json",)),
    "bioasq": Format(
        {
            "qa": _with_abstracts(read_bioasq),
            "classification": _with_abstracts(read_bioasq_yes_no),
        },
        (".json",),
    ),
    "pubmedqa": Format({"classification": read_pubmedqa}, (".json",)),
}


def read_examples(
    path: str | os.PathLike[str],
    task: str,
    format: str = "",
    *,
    fault: Fault = refuse,
    note: Fault = ignore,
    **options: Any,
) -> list[Any]:
    """The examples of a file, read as `format`, or as its name and first bytes say.

    Args:
      path: a file, or a split of a set that tensorflow-datasets has prepared (`prepared.py`).
      fault, note: told what cannot be used, and what was mended or passed over.
      options: what the task's readers take beside: `types` of ner's.

    Raises:
      UserError: no such format; one that the task has no reader of; what the reader refuses.
    """
    if is_prepared(path):
        if format:
            raise UserError(f"data.format is {format!r}, but {path} is prepared: leave it out")
        examples, types = read_prepared(path, task, note), options.get("types")
        return of_types(examples, types, path, note) if types else examples
    known = [name for name, form in FORMATS.items() if task in form.readers]
    if format and format not in known:
        near = nearest(format, known)
        hint = f"did you mean {near!r}? " if near else ""
        raise UserError(f"data.format is {format!r}: {hint}of {task}: {', '.join(known)}")
    reader = FORMATS[format or format_of(Path(path), known)].readers[task]
    return reader(path, fault=fault, note=note, **options)


def format_of(path: Path, known: list[str]) -> str:
    """The format that a file's name and content say, of those `known`."""
    if len(known) == 1:
        return known[0]
    name = path.name.lower().removesuffix(".gz")
    fitting = [form for form in known if name.endswith(FORMATS[form].suffixes)]
    if "pubtator" in known:
        # A tagged file may have any name; so may PubTator's.
        is_pubtator = "pubtator" in fitting or sniff(_first_bytes(path)) == "pubtator"
        return "pubtator" if is_pubtator else "conll"
    if len(fitting) == 1:
        return fitting[0]
    start = _first_bytes(path)
    if {"squad", "bioasq"} <= set(fitting):
        # SQuAD's has a list of articles, BioASQ's of questions; lists of questions go about too.
        if "pubmedqa" in fitting and b'"QUESTION"' in start:
            return "pubmedqa"
        return "squad" if b'"data"' in start or b'"paragraphs"' in start else "bioasq"
    if {"tsv", "jsonl"} <= set(fitting):
        return "jsonl" if start.lstrip().startswith(b"{") else "tsv"
    if not fitting:
        suffixes = dict.fromkeys(suffix for form in known for suffix in FORMATS[form].suffixes)
        raise UserError(
            f"{path}: its name ends with none of {', '.join(suffixes)}: set data.format to one of "
            f"{', '.join(known)}"
        )
    return fitting[0]


def _first_bytes(path: Path) -> bytes:
    try:
        with open_bytes(path) as file:
            return file.read(4096)
    except UserError:
        return b""  # the reader says what is wrong
