"""Every key of a config with its type, value, default and what `config.py` says of it."""

import ast
import dataclasses
import inspect
import io
import tokenize
from collections.abc import Iterator
from typing import Any, NamedTuple, get_args, get_type_hints


class Entry(NamedTuple):
    """A key, `a.b`, or a group of keys: its `type` is "group", its value the dataclass's name, by
    which gin binds, its comment the docstring.
    """

    key: str
    type: str
    value: Any
    default: Any
    comment: str


def entries(config: Any, prefix: str = "", default: Any = None) -> Iterator[Entry]:
    """The keys of a config dataclass, in its order: first its own, then its groups'.

    Args:
      config: an instance of a dataclass of `config.py`.
      default: what its values are set beside; None: a new instance.
    """
    default = type(config)() if default is None else default
    hints, comments = get_type_hints(type(config)), field_comments(type(config))
    groups = []
    for field in dataclasses.fields(config):
        value, before = getattr(config, field.name), getattr(default, field.name)
        key = prefix + field.name
        if dataclasses.is_dataclass(value):
            groups.append((key, value, before))
            continue
        kind = "list" if get_args(hints[field.name]) else hints[field.name].__name__
        yield Entry(key, kind, value, before, comments.get(field.name, ""))
        if _is_groups(value):
            groups += [(f"{key}.{number}", item, type(item)()) for number, item in enumerate(value)]
    for key, value, before in groups:
        doc = " ".join(inspect.getdoc(type(value)).split())
        yield Entry(key, "group", type(value).__name__, "", doc)
        yield from entries(value, key + ".", before)


def field_comments(cls: type) -> dict[str, str]:
    """The comments at the ends of the lines that define a dataclass's fields."""
    source = inspect.getsource(cls)
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (body,) = ast.parse(source).body
    return {
        node.target.id: comments[node.end_lineno]
        for node in body.body
        if isinstance(node, ast.AnnAssign) and node.end_lineno in comments
    }


def table(config: Any) -> str:
    """The entries as text: a line a key, with a mark where the value is not the default."""
    rows = [
        (entry, _shown(entry.value), _shown(entry.default))
        for entry in entries(config)
        if not _is_groups(entry.value)
    ]
    keys = [row for row in rows if row[0].type != "group"]
    widths = [
        max(len(text) for text in column)
        for column in zip(*((e.key, e.type, v, d) for e, v, d in keys), strict=True)
    ]
    titles = ("key", "type", "value", "default")
    widths = [max(width, len(title)) for width, title in zip(widths, titles, strict=True)]
    lines = [f"[{type(config).__name__}]", "  " + _columns(titles, widths, "")]
    for entry, value, default in rows:
        if entry.type == "group":
            lines += ["", f"{entry.key} [{entry.value}]: {entry.comment}"]
        else:
            mark = "  " if value == default else "* "
            columns = (entry.key, entry.type, value, default)
            lines.append(mark + _columns(columns, widths, entry.comment))
    return "\n".join(line.rstrip() for line in lines)


def _columns(texts: tuple[str, ...], widths: list[int], comment: str) -> str:
    line = "  ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True))
    return f"{line}  # {comment}" if comment else line


def _shown(value: Any) -> str:
    """A value as the command line takes it."""
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "-"
    if isinstance(value, str):
        return value or "-"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_groups(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and dataclasses.is_dataclass(value[0])
