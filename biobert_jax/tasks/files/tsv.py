"""Tab-separated texts with labels: BioBERT's, BLUE's, BLURB's and ChemProt's files, and one's own.

A line is an example; nothing is quoted. A first line of columns' names is a header, told by a
column of text among them; case does not count. Each column is the first of these that is there:

| column | names |
|---|---|
| text | question, sentence1, s1, text1, text_a, premise, sentence, text, abstract |
| second text | sentence2, s2, text2, text_b, hypothesis, context, passage, answer, … |
| label | label, labels, class, relation, gold_label, yesno_label, final_decision |
| number | value, score, mean, similarity |
| id | index, id, idx, guid, pmid |
| group | group |

`labels` holds any number of labels between commas or bars, none where it is empty; or, as BLUE has
them, `0_1,1_0`, of which those with _1 are meant. `yesno_label` is 1 for yes. Without a header
there are one column (text), two (text, label), three (id, text, label where the first is another
word on every line; else text, second text, label) or four (id, text, second text, label).
"""

import math
import os
import re
from collections.abc import Mapping, Sequence

from biobert_jax.corpus.readers.lines import read_lines
from biobert_jax.formats.faults import ANYTHING, Fault, Ids, check_is_file, ignore, refuse
from biobert_jax.tasks.files.examples import TextExample

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "text": (
        *("question", "sentence1", "s1", "text1", "text_a", "premise"),
        *("sentence", "text", "abstract"),
    ),
    "pair": (
        *("sentence2", "s2", "text2", "text_b", "hypothesis", "context", "passage"),
        *("answer", "ideal_answer", "sentence", "text", "abstract"),
    ),
    "label": (
        *("label", "labels", "class", "relation", "gold_label", "yesno_label", "final_decision"),
    ),
    "value": ("value", "score", "mean", "similarity"),
    "id": ("index", "id", "idx", "guid", "pmid"),
    "group": ("group",),
}
_WITHOUT_HEADER = {1: ("text",), 2: ("text", "label"), 4: ("id", "text", "pair", "label")}
_BLUE_LABELS = re.compile(r"\d+_[01](?:,\d+_[01])*")
_YES_NO = {"1": "yes", "0": "no"}


def read_tsv(
    path: str | os.PathLike[str], *, fault: Fault = refuse, note: Fault = ignore
) -> list[TextExample]:
    """Reads a UTF-8 file of tab-separated columns, plain or gzip; see the module for its forms.

    Labels are as the file spells them; None where it has no column of labels. An example's id is
    that of the file, else its number from 0. BioBERT's dev.tsv of 0 bytes yields nothing.

    Raises:
      UserError: The file is absent, unreadable or not UTF-8; or, unless `fault` takes them, a line
        has another number of columns than the first, no text, no label, a number that is none, or
        an id that stood before; a header without a column of text. File and line are named.
    """
    check_is_file(path)
    lines = [
        (number, line.split("\t"))
        for number, line in read_lines(path, expected=ANYTHING)
        if line.strip()
    ]
    if not lines:
        return []
    header = header_of(lines[0][1])
    if header is None and _is_bad_header(lines[0][1]):
        fault(
            f"{path}:{lines[0][0]}",
            f"the header {' '.join(lines[0][1])!r} names no text: call its column sentence or text",
        )
        return []
    body = lines[1:] if header else lines
    names = header or _columns_without_header([fields for _, fields in lines])
    if names is None:
        fault(
            f"{path}:{lines[0][0]}",
            f"{len(lines[0][1])} columns without a header: put a line with their names first, such "
            "as index, sentence, label between tabs",
        )
        return []
    labels_of = _labels_reader(lines[0][1] if header else (), names, [f for _, f in body])
    ids = Ids(fault)
    examples = []
    for order, (number, fields) in enumerate(body):
        where = f"{path}:{number}"
        if len(fields) != len(names):
            fault(
                where,
                f"{len(fields)} column{'s'[: len(fields) != 1]}, where line {lines[0][0]} has "
                f"{len(names)}: separate them by one tab each",
            )
            continue
        row = {name: field.strip() for name, field in zip(names, fields, strict=True) if name}
        if any(len(text) > 1 and text[0] == text[-1] == '"' for text in fields):
            note(where, "a field in quotation marks: they are taken for part of it")
        example = _example(row, labels_of, str(order), where, fault)
        if example is not None and ids.are_new(example.id, where):
            examples.append(example)
    return examples


def header_of(fields: Sequence[str]) -> tuple[str, ...] | None:
    """What each column is ("text", "pair", …, "" for what is not read), by a header's names.

    None: it is no header, or one without a column of text.
    """
    names = [field.strip().lower() for field in fields]
    if len(set(names)) != len(names):
        return None
    roles = [""] * len(names)
    for role, known in COLUMNS.items():
        for name in known:
            if name in names and not roles[names.index(name)]:
                roles[names.index(name)] = role
                break
    return tuple(roles) if "text" in roles else None


def _is_bad_header(fields: Sequence[str]) -> bool:
    known = {name for names in COLUMNS.values() for name in names}
    names = [field.strip().lower() for field in fields]
    return len(names) > 1 and bool(known & set(names)) and all(map(str.isidentifier, names))


def _columns_without_header(rows: Sequence[Sequence[str]]) -> tuple[str, ...] | None:
    count = len(rows[0])
    if count != 3:
        return _WITHOUT_HEADER.get(count)
    first = [row[0].strip() for row in rows]
    are_ids = len(set(first)) == len(first) and not any(" " in field for field in first)
    return ("id", "text", "label") if are_ids else ("text", "pair", "label")


def _labels_reader(header: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[str]]):
    """A function from a field to labels; None for one that must not be empty."""
    if "label" not in names:
        return None
    column = names.index("label")
    title = header[column].strip().lower() if header else ""
    if title == "yesno_label":
        return lambda field: (_YES_NO.get(field, field),)
    if title != "labels":
        return lambda field: (field,) if field else None
    fields = [row[column].strip() for row in rows if len(row) == len(names)]
    if any(fields) and all(_BLUE_LABELS.fullmatch(field) for field in fields if field):
        return lambda field: tuple(label[:-2] for label in field.split(",") if label.endswith("_1"))
    separator = "|" if any("|" in field for field in fields) else ","
    return lambda field: tuple(label.strip() for label in field.split(separator) if label.strip())


def _example(
    row: Mapping[str, str], labels_of, default_id: str, where: str, fault: Fault
) -> TextExample | None:
    for name in ("text", "pair"):
        if name in row and not row[name]:
            fault(
                where, f"no {'second ' * (name == 'pair')}text: fill the column, or drop the line"
            )
            return None
    labels = labels_of(row["label"]) if labels_of else None
    if labels_of and labels is None:
        fault(where, "no label: give one, or leave out the column where none is known")
        return None
    value = None
    if "value" in row:
        try:
            value = float(row["value"])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            fault(where, f"{row['value']!r} is no number: mend it")
            return None
    return TextExample(
        row.get("id") or default_id,
        row["text"],
        row.get("pair", ""),
        labels=labels,
        value=value,
        group=row.get("group", ""),
        where=where,
    )
