"""CoNLL-style files of words and labels: reading data sets, writing predictions."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from biobert_jax.errors import UserError

# Only these separate fields and lines. str.split() and str.splitlines() would also cut words at
# U+0085, U+00A0 or U+2028, which occur inside words of real corpora.
_FIELD = re.compile(r"[^ \t\r\n\f\v]+")


@dataclass(frozen=True)
class Sentence:
    """A sentence's words and, one for each, their labels, as the file spells them."""

    words: tuple[str, ...]
    labels: tuple[str, ...]


def read_sentences(path: str | os.PathLike[str]) -> list[Sentence]:
    """Reads a UTF-8 file with one word a line and blank lines between sentences.

    A line's first field is the word and its last the label, so that two-column files and the four
    columns of CoNLL-2003 both work. A line of white space, Unicode's included, is blank. Blank
    lines may be doubled, and the last be absent; `-DOCSTART-` lines, CRLF and a byte order mark
    are tolerated.

    Raises:
      UserError: The file is absent, unreadable, not UTF-8 or without sentences, or a line has a
        word but no label; the message names the file and, where there is one, the line.
    """
    sentences = []
    words, labels = [], []
    for number, line in enumerate(_lines(path), 1):
        fields = _FIELD.findall(line) if line.strip() else []
        if not fields or fields[0] == "-DOCSTART-":
            if words:
                sentences.append(Sentence(tuple(words), tuple(labels)))
                words, labels = [], []
        elif len(fields) == 1:
            raise UserError(
                f"{path}:{number}: one field, {fields[0]!r}, where a word and its label were "
                "expected; separate them by a tab or a space"
            )
        else:
            words.append(fields[0])
            labels.append(fields[-1])
    if words:
        sentences.append(Sentence(tuple(words), tuple(labels)))
    if not sentences:
        raise UserError(f"{path}: no sentences; give a file with a word and its label on each line")
    return sentences


def write_predictions(
    path: str | os.PathLike[str],
    sentences: Iterable[Sentence],
    predicted_labels: Iterable[Sequence[str]],
) -> None:
    """Writes `word gold predicted` lines, a blank line after each sentence; conlleval reads them.

    The form of BioBERT's `NER_result_conll.txt`: labels without a type get `-MISC`. The file
    appears whole or not at all, and replaces an older one.

    Args:
      path: The file to write; its folder must exist.
      sentences: The gold sentences.
      predicted_labels: For each sentence the predicted label of each word.

    Raises:
      UserError: Numbers of sentences or labels differ (the message names the sentence, from 1),
        a word or label is empty or holds white space, or the file cannot be written.
    """
    path = Path(path)
    # The process id keeps two runs that write the same file from sharing a temporary one.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            pairs = zip_longest(sentences, predicted_labels)
            for number, (sentence, predicted) in enumerate(pairs, 1):
                file.write(_prediction_lines(sentence, predicted, f"{path}: sentence {number}"))
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _prediction_lines(
    sentence: Sentence | None, predicted: Sequence[str] | None, where: str
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
        fields = (word, _with_type(gold), _with_type(guess))
        for text in fields:
            if not _FIELD.fullmatch(text):
                raise UserError(f"{where}: {text!r} is empty or holds white space; mend the input")
        lines.append(" ".join(fields) + "\n")
    return "".join(lines) + "\n"


def _with_type(label: str) -> str:
    """Adds `-MISC` to a label that has no type, for conlleval prints no line without one."""
    tag, _, type_ = label.partition("-")
    return label if not tag or tag == "O" or type_ else f"{tag}-MISC"


def _lines(path: str | os.PathLike[str]) -> list[str]:
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; check the path") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}:{number}: byte 0x{data[error.start]:02x} is not UTF-8; convert the file, "
            "for example with `iconv -f LATIN1 -t UTF-8`"
        ) from error
    text = text.removeprefix("\ufeff")
    # Old Macintosh files end lines with a carriage return alone. Splitting other files there, too,
    # would end sentences at the `\r\r\n` that careless conversions leave behind.
    return text.split("\n" if "\n" in text else "\r")


def read_predictions(
    path: str | os.PathLike[str],
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Reads what `write_predictions` writes: gold and predicted labels, a tuple a sentence each.

    Raises:
      UserError: As `read_sentences`; or a line without a word and two labels.
    """
    gold: list[tuple[str, ...]] = []
    predicted: list[tuple[str, ...]] = []
    pairs: list[tuple[str, str]] = []
    for number, line in enumerate((*_lines(path), ""), 1):
        fields = _FIELD.findall(line)
        if fields and len(fields) < 3:
            raise UserError(f"{path}:{number}: a word, its label and the predicted label expected")
        if fields:
            pairs.append((fields[-2], fields[-1]))
        elif pairs:
            gold.append(tuple(label for label, _ in pairs))
            predicted.append(tuple(label for _, label in pairs))
            pairs = []
    if not gold:
        raise UserError(f"{path}: no predictions; give a word and two labels on each line")
    return gold, predicted
