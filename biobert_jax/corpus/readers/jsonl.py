"""JSON lines: an object `{"id": ..., "text": ...}` a line; other keys are ignored."""

import json
import os
import re
from collections.abc import Iterator

from etils import epath

from biobert_jax.corpus.documents import (
    CorpusFileError,
    Document,
    ReadCounts,
    ReadOptions,
    Share,
    clean_passage,
)
from biobert_jax.corpus.readers.compressed import read_lines
from biobert_jax.corpus.readers.defaults import DEFAULT_OPTIONS, WHOLE_FILE

_SURROGATE = re.compile("[\ud800-\udfff]")


def read_jsonl(
    path: epath.PathLike,
    *,
    options: ReadOptions = DEFAULT_OPTIONS,
    share: Share = WHOLE_FILE,
    counts: ReadCounts | None = None,
) -> Iterator[Document]:
    """Yields a document per line; its passages are the non-blank lines of `text`.

    A whole number as `id` becomes a string; a line without `id` is called `<file name>:<line>`.
    Blank lines are passed over; objects whose text is blank are counted as empty.

    Args:
      path: a local or gs:// file, plain or gzip.
      options: none applies.
      share: the lines to read, blank ones counted too. The others are not parsed, so a line that
        is no such object is noticed by the share that holds it.
      counts: brought up to date as the file is read.

    Raises:
      CorpusFileError: the file cannot be read, is not UTF-8, or a line is no such object.
    """
    counts = ReadCounts() if counts is None else counts
    file = epath.Path(path).name
    for number, line in read_lines(path, counts):
        if not share.holds(number - 1) or not line or line.isspace():
            continue
        try:
            id_, text = _fields(line)
        except ValueError as error:
            raise CorpusFileError(os.fspath(path), str(number), str(error)) from error
        passages = tuple(p for part in text.split("\n") if (p := clean_passage(part)))
        if not passages:
            counts.empty += 1
            continue
        counts.documents += 1
        yield Document(id_ or f"{file}:{number}", passages)


def _fields(line: str) -> tuple[str, str]:
    """The line's id ("" if it has none) and text. Raises ValueError with the reason."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} (column {error.colno})") from error
    except (RecursionError, ValueError) as error:  # Nested too deeply; a number too long.
        raise ValueError(f"not usable JSON: {error}") from error
    if not isinstance(record, dict):
        raise ValueError(f'expected an object with "text", found {_kind(record)}')
    if "text" not in record:
        raise ValueError('the object has no "text"')
    text, id_ = record["text"], record.get("id")
    if not isinstance(text, str):
        raise ValueError(f'"text" must be a string, not {_kind(text)}')
    if id_ is None:
        id_ = ""
    elif isinstance(id_, bool) or not isinstance(id_, str | int):
        raise ValueError(f'"id" must be a string or a whole number, not {_kind(id_)}')
    if "\\u" in line:  # Only an escape can bring in half a pair, which UTF-8 cannot write.
        text = _SURROGATE.sub("\ufffd", text)
        id_ = _SURROGATE.sub("\ufffd", str(id_))
    return clean_passage(str(id_)), text


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    return names.get(type(value), "an array" if isinstance(value, list) else "an object")
