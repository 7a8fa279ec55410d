"""CoNLL-style files of words and labels: reading data sets, writing predictions."""

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import zip_longest
from pathlib import Path

from biobert_jax.checkpoints.labels import with_type
from biobert_jax.corpus.readers.lines import read_lines
from biobert_jax.corpus.readers.sniff import Expected
from biobert_jax.errors import UserError
from biobert_jax.files import replacing
from biobert_jax.formats.faults import Fault, check_is_file, ignore, refuse
from biobert_jax.scoring.conlleval import is_label
from biobert_jax.tasks.files.examples import Sentence

# Only these separate fields. str.split() would also cut words at U+0085, U+00A0 or U+2028, which
# occur inside words of real corpora.
_FIELD = re.compile(r"[^ \t\r\n\f\v]+")
_PADDING = " \r\n\f\v"
# `-DOCSTART- -X- O` of CoNLL-2003, `###MEDLINE:95369245` of JNLPBA and GENIA.
_BOUNDARY = re.compile(r"-DOCSTART-$|###MEDLINE:")


def read_sentences(
    path: str | os.PathLike[str],
    *,
    unlabelled: bool = False,
    fault: Fault = refuse,
    note: Fault = ignore,
) -> list[Sentence]:
    """Reads a UTF-8 file, plain or gzip, with a word a line and blank lines between sentences.

    A line's first column is the word and its last the label, so that two-column files and the four
    columns of CoNLL-2003 both work. A line with a tab is split at tabs, so that a word may hold
    spaces; one without, at white space. A line of white space, Unicode's included, is blank. Blank
    lines may be doubled, and the last be absent; `-DOCSTART-` and `###MEDLINE:` lines are
    boundaries too; CRLF and a byte order mark are tolerated.

    Args:
      unlabelled: whether a file whose first word stands alone has no labels: then those of its
        sentences are empty. Else it is refused.

    Raises:
      UserError: The file is absent, unreadable, not UTF-8 or without sentences; or, unless `fault`
        takes them, a line has a word but no label, another number of columns than the lines
        before, or a label that scoring cannot read. The message names the file and, where there is
        one, the line.
    """
    rows = _sentences(path, "a word and its label", num_labels=1, bare=unlabelled, fault=fault)
    sentences = [
        Sentence(
            tuple(fields[0] for fields in sentence),
            tuple(fields[-1] for fields in sentence) if len(sentence[0]) > 1 else (),
            where=f"{path}:{number}",
        )
        for number, sentence in rows
    ]
    if not sentences:
        refuse(f"{path}", "no sentences; give a file with a word and its label on each line")
    return sentences


def read_predictions(
    path: str | os.PathLike[str],
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Reads what `write_predictions` writes: gold and predicted labels, a tuple a sentence each.

    Raises:
      UserError: As `read_sentences`; or a line without a word and two labels.
    """
    rows = list(_sentences(path, "a word, its label and the predicted label", num_labels=2))
    if not rows:
        raise UserError(f"{path}: no predictions; give a word and two labels on each line")
    gold, predicted = (
        [tuple(fields[column] for fields in sentence) for _, sentence in rows]
        for column in (-2, -1)
    )
    return gold, predicted


def _sentences(
    path: str | os.PathLike[str],
    expected: str,
    num_labels: int,
    *,
    bare: bool = False,
    fault: Fault = refuse,
) -> Iterator[tuple[int, list[list[str]]]]:
    """Each sentence's first line's number, and the columns of its lines.

    The last `num_labels` columns are labels; with `bare`, of a file whose first line has a word
    alone, none.
    """
    sentence: list[list[str]] = []
    columns = first = begin = 0
    known: set[str] = set()  # labels that are right
    for number, line in _lines(path):
        fields = _fields(line)
        if not fields or _BOUNDARY.match(fields[0]):
            if sentence:
                yield begin, sentence
                sentence = []
            continue
        if bare and not columns and len(fields) == 1:
            num_labels = 0
        if wrong := _wrong_line(fields, line, expected, num_labels, columns, first, known):
            fault(f"{path}:{number}", wrong)
            continue
        if not columns:
            columns, first = len(fields), number
        known.update(fields[len(fields) - num_labels :])
        if not sentence:
            begin = number
        sentence.append(fields)
    if sentence:
        yield begin, sentence


def _wrong_line(
    fields: Sequence[str],
    line: str,
    expected: str,
    num_labels: int,
    columns: int,
    first: int,
    known: Set[str],
) -> str:
    """What is wrong with the columns of a line, "" where nothing is."""
    if len(fields) <= num_labels:
        found = "one column" if len(fields) == 1 else f"{len(fields)} columns"
        return (
            f"{found}, {line.strip()!r}, where {expected} were expected; separate them by a tab or "
            "a space"
        )
    if columns and len(fields) != columns:
        return (
            f"{len(fields)} columns, where line {first} has {columns}; separate columns by tabs "
            "where a word holds spaces"
        )
    if not fields[0]:
        return f"the word before {fields[-1]!r} is empty"
    for label in set(fields[len(fields) - num_labels :]) - known:
        if not is_label(label):
            return (
                f"label {label!r} is none of B, I, O, E, S, L, U, alone or as in B-Disease: mend "
                "the file, or check that labels are the last column"
            )
    return ""


def _fields(line: str) -> list[str]:
    if not line.strip():
        return []
    if "\t" not in line:
        return _FIELD.findall(line)
    # Tabs that end a line are as good as white space there.
    return [field.strip(_PADDING) for field in line.rstrip(_PADDING + "\t").split("\t")]


def _lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    check_is_file(path)
    yield from read_lines(path, expected=Expected("conll", option="", formats=()))


def write_predictions(
    path: str | os.PathLike[str],
    sentences: Iterable[Sentence],
    predicted_labels: Iterable[Sequence[str]],
) -> None:
    """Writes `word gold predicted` lines, a blank line after each sentence; conlleval reads them.

    The form of BioBERT's `NER_result_conll.txt`, but that labels without a type get
    `-entity`, by which name the other outputs go too, and not `-MISC`. Columns are
    separated by spaces, or, where a word holds one, by tabs: then it is `conlleval -d '\\t'`. The
    file appears whole or not at all, and replaces an older one.

    Args:
      path: The file to write; folders on the way are made.
      sentences: The gold sentences.
      predicted_labels: For each sentence the predicted label of each word.

    Raises:
      UserError: Numbers of sentences or labels differ (the message names the sentence, from 1),
        a word or label is empty or holds a tab or a line break, or the file cannot be written.
    """
    path = Path(path)
    sentences, predicted_labels = list(sentences), list(predicted_labels)
    columns = (column for s in sentences for column in (s.words, s.labels))
    fields = itertools.chain.from_iterable(itertools.chain(columns, predicted_labels))
    separator = " " if all(map(_FIELD.fullmatch, fields)) else "\t"
    try:
        with replacing(path, "w", newline="\n") as file:
            pairs = zip_longest(sentences, predicted_labels)
            for number, (sentence, predicted) in enumerate(pairs, 1):
                where = f"{path}: sentence {number}"
                file.write(_prediction_lines(sentence, predicted, where, separator))
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def _prediction_lines(
    sentence: Sentence | None, predicted: Sequence[str] | None, where: str, separator: str
) -> str:
    if sentence is None or predicted is None:
        ended = "sentences" if sentence is None else "predicted labels"
        raise UserError(f"{where}: there are no more {ended}; give labels for every sentence")
    if not len(sentence.words) == len(sentence.labels) == len(predicted):
        raise UserError(
            f"{where}: {len(sentence.words)} words, {len(sentence.labels)} gold and "
            f"{len(predicted)} predicted labels; give one label a word"
        )
    lines = []
    for word, gold, guess in zip(sentence.words, sentence.labels, predicted, strict=True):
        fields = (word, with_type(gold), with_type(guess))
        for text in fields:
            if text.strip(_PADDING) != text or not text or "\t" in text or "\n" in text:
                raise UserError(
                    f"{where}: {text!r} is empty, begins or ends with white space, or holds a tab "
                    "or a line break; mend the input"
                )
        lines.append(separator.join(fields) + "\n")
    return "".join(lines) + "\n"
