"""Examples as flat records of texts and numbers, and back, field by field by the fields' types.

| a field's type | its record |
|---|---|
| text, truth, number | itself |
| texts, numbers | a list |
| spans | a list of {"start", "end", "type"} |
| lists of texts | a list of lists |
| any of these or None | that, empty where it is None, and `has_FIELD` |
"""

import dataclasses
import functools
import hashlib
import json
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from biobert_jax.tasks.files.examples import Question, Sentence, Span, TextExample

# What the examples of a task are.
EXAMPLES = {"ner": Sentence, "classification": TextExample, "qa": Question}


class Field(NamedTuple):
    """A field of an example: its name, its type without None, and whether it may be None."""

    name: str
    type: Any
    optional: bool


@functools.cache
def fields_of(example_type: type) -> tuple[Field, ...]:
    """The fields of a kind of examples, in order."""
    found = []
    for field in dataclasses.fields(example_type):
        own = [kind for kind in typing.get_args(field.type) if kind is not types.NoneType]
        optional = isinstance(field.type, types.UnionType)
        found.append(Field(field.name, own[0] if optional else field.type, optional))
    return tuple(found)


def to_record(example: Any) -> dict[str, Any]:
    """The record of an example."""
    record = {}
    for name, kind, optional in fields_of(type(example)):
        value = getattr(example, name)
        if optional:
            record[f"has_{name}"] = value is not None
        value = _EMPTY.get(kind, ()) if value is None else value
        record[name] = [span._asdict() for span in value] if kind == tuple[Span, ...] else value
    return record


def from_record(example_type: type, record: Mapping[str, Any]) -> Any:
    """The example of a record whose texts are UTF-8 and whose lists are arrays, as TensorFlow
    gives them; lists of lists are ragged tensors.
    """
    values = {}
    for name, kind, optional in fields_of(example_type):
        is_none = optional and not record[f"has_{name}"]
        values[name] = None if is_none else _READ[kind](record[name])
    return example_type(**values)


def examples_sha256(examples: Iterable[Any]) -> str:
    """Of all that counts in examples, in their order; where they stood does not."""
    digest = hashlib.sha256()
    for example in examples:
        counting = [field.name for field in dataclasses.fields(example) if field.compare]
        values = [getattr(example, name) for name in counting]
        digest.update(json.dumps(values).encode())
    return digest.hexdigest()


def _text(value: bytes) -> str:
    return value.decode("utf-8")


def _texts(values: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(map(_text, values))


def _spans(values: Mapping[str, Any]) -> tuple[Span, ...]:
    columns = (values["start"], values["end"], values["type"])
    return tuple(Span(int(s), int(e), _text(t)) for s, e, t in zip(*columns, strict=True))


# What stands in a record for None, where it is no list.
_EMPTY: dict[Any, Any] = {float: 0.0, bool: False, str: ""}
_READ: dict[Any, Callable[[Any], Any]] = {
    str: _text,
    bool: bool,
    float: float,
    tuple[str, ...]: _texts,
    tuple[int, ...]: lambda values: tuple(map(int, values)),
    tuple[Span, ...]: _spans,
    tuple[tuple[str, ...], ...]: lambda values: tuple(map(_texts, values.to_list())),
}
