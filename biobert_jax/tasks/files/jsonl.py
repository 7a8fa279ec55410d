"""JSON lines: SciBERT's texts with a label, and our own form for a user's own data.

An object a line. Of these fields `text` alone must be there; others may stand beside them:

| field | |
|---|---|
| `text`, `pair` | the text, or two |
| `label`, or `labels` | a name, or a list of any number of names |
| `value` | a number, for regression |
| `entities` | the mentions that a relation is asked of: `{"start", "end", "type"}`, code points |
| `id`, `group` | of the example; of those answered as one |
"""

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

from biobert_jax.corpus.readers.lines import read_lines
from biobert_jax.errors import UserError
from biobert_jax.formats.faults import (
    ANYTHING,
    Fault,
    Ids,
    check_is_file,
    ignore,
    is_text,
    parse_json,
    refuse,
)
from biobert_jax.tasks.files.examples import Span, TextExample


def read_jsonl(
    path: str | os.PathLike[str], *, fault: Fault = refuse, note: Fault = ignore
) -> list[TextExample]:
    """Reads texts to classify from a UTF-8 file with a JSON object a line, plain or gzip.

    Raises:
      UserError: The file is absent, unreadable or not UTF-8; or, unless `fault` takes them, a line
        is no JSON object, a field is missing or of another kind, a mention reaches out of the
        text, or an id stood before. File and line are named.
    """
    ids = Ids(fault)
    examples = []
    for order, (where, values) in enumerate(objects(path, fault)):
        try:
            example = _example(values, str(order), where)
        except ValueError as error:
            fault(where, str(error))
            continue
        if ids.are_new(example.id, where):
            examples.append(example)
    return examples


def objects(
    path: str | os.PathLike[str], fault: Fault = refuse
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line's place and object; blank lines are passed over."""
    check_is_file(path)
    for number, line in read_lines(path, expected=ANYTHING):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            values = parse_json(line, where)
        except UserError as error:
            fault(where, str(error).removeprefix(f"{where}: "))
            continue
        if isinstance(values, dict):
            yield where, values
        else:
            fault(where, f"not an object but {values!r:.60}: put braces and names of fields there")


def spans_of(values: Mapping[str, Any], text: str) -> tuple[Span, ...]:
    """The mentions of `entities`, in the file's order.

    Raises:
      ValueError: one is no object with start, end and type; one is outside the text; its own
        `text`, where it has that, is another.
    """
    entities = values.get("entities") or ()
    if not isinstance(entities, list | tuple):
        raise ValueError(f'entities is {entities!r:.60}: give a list of {{"start", "end", "type"}}')
    spans = []
    for number, entity in enumerate(entities):
        name = f"entities[{number}]"
        if not isinstance(entity, dict):
            raise ValueError(f'{name} is {entity!r:.60}: give {{"start", "end", "type"}}')
        start, end, type_ = (entity.get(key) for key in ("start", "end", "type"))
        if type(start) is not int or type(end) is not int or not is_text(type_):
            raise ValueError(f"{name} needs whole numbers start and end, and a type")
        if not 0 <= start < end <= len(text):
            raise ValueError(
                f"{name}, {start} to {end}, is not in the text of {len(text)} code points: offsets "
                "count from 0 and the end is exclusive"
            )
        mention = entity.get("text")
        if mention is not None and mention != text[start:end]:
            raise ValueError(f"{name} is {mention!r:.60}, but the text has {text[start:end]!r:.60}")
        spans.append(Span(start, end, type_))
    return tuple(spans)


def id_of(values: Mapping[str, Any], default: str, key: str = "id") -> str:
    """An id as a string; `default` where there is none. Raises ValueError for what is no id."""
    id_ = values.get(key)
    if id_ is None:
        return default
    if type(id_) is int or is_text(id_):
        return str(id_)
    raise ValueError(f"{key} is {id_!r:.60}: give a string or a whole number")


def _example(values: Mapping[str, Any], default_id: str, where: str) -> TextExample:
    text, pair = values.get("text"), values.get("pair") or ""
    if not is_text(text):
        raise ValueError('no "text": give each line a text that is not empty')
    if pair and not is_text(pair):
        raise ValueError(f"pair is {pair!r:.60}: give a text, or leave it out")
    value = values.get("value")
    if value is not None and (type(value) not in (int, float) or not math.isfinite(value)):
        raise ValueError(f"value is {value!r:.60}: give a number")
    return TextExample(
        id_of(values, default_id),
        text,
        pair,
        labels=_labels(values),
        value=None if value is None else float(value),
        spans=spans_of(values, text),
        group=id_of(values, "", "group"),
        where=where,
    )


def _labels(values: Mapping[str, Any]) -> tuple[str, ...] | None:
    key = "labels" if values.get("labels") is not None else "label"
    found = values.get(key)
    if found is None:
        return None
    labels = found if isinstance(found, list) else [found]
    for label in labels:
        if not is_text(label) and type(label) not in (int, bool):
            raise ValueError(f"{key} is {found!r:.60}: give a name, or a list of names")
    if key == "label" and not labels:
        raise ValueError("label is empty: several or none go under labels")
    # As JSON spells them.
    return tuple(str(label).lower() if type(label) is bool else str(label) for label in labels)
